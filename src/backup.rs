//! Backups that are proven: made with PostgreSQL's own tools, stored whole or not at all, restored and compared.
//!
//! The map: [`manifest`] and [`contents`] say what a backup is; [`pipeline`] carries bytes into a store and
//! back; [`tools`] runs PostgreSQL's own programs and [`sandbox`] throw-away servers; [`verify`] reads a backup again,
//! [`restore`] brings it back to life, [`drill`] does so and compares; the rest makes one.

pub mod base;
pub mod catalog;
pub mod contents;
pub mod drill;
pub mod error;
pub mod external;
pub mod full;
pub mod globals;
pub mod hooks;
pub mod manifest;
pub mod mirror;
pub mod pipeline;
pub mod prune;
pub mod restore;
pub mod run;
pub mod sandbox;
pub mod schema;
pub mod source;
pub mod tables;
pub mod tools;
pub mod verify;
pub mod wal;
