//! Backups back to life.
//!
//! The map: [`origin`] reads a backup, [`place`] is where it goes, [`archive`] makes a database of a logical one, [`base`] a data directory
//! of a physical one, [`jobs`] keeps what is scheduled from running.

pub mod archive;
pub mod base;
mod copy;
pub mod database;
pub mod error;
pub mod found;
pub mod globals;
pub mod ground;
pub mod images;
pub mod isolate;
pub mod jobs;
pub mod log;
pub mod origin;
pub mod phases;
pub mod place;
pub mod recovery;
pub mod report;
pub mod roles;
pub mod run;
pub mod server;
pub mod start;
