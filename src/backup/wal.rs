//! The log, all the time: its segments in a store, so that a base backup can be recovered to any later moment.
//!
//! The map: [`segment`] and [`history`] are PostgreSQL's own words; [`archive`] is what lies in a store, [`continuity`] whether it has
//! holes, [`route`] which segments lead from a backup to a moment, and [`fetch`] gets them. On the way there: [`receiver`] fills the
//! [`spool`], [`ship`] empties it, [`pace`] and [`state`] decide and tell.

pub mod archive;
pub mod bases;
pub mod continuity;
pub mod fetch;
pub mod history;
pub mod pace;
pub mod receiver;
pub mod route;
pub mod ship;
pub mod spool;
pub mod state;

pub use crate::model::segment;
