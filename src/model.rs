//! The words of the project: plain values with checked constructors, and nothing that acts.
//!
//! Nothing here reads a file, a clock, Docker or a database. Every other layer speaks in these types.

pub mod backup;
pub mod backup_runs;
pub mod chunk;
pub mod cluster;
pub mod collecting;
pub mod description;
pub mod desired;
pub mod digest;
pub mod endpoint;
pub mod expiry;
pub mod finding;
pub mod health;
pub mod job;
pub mod lsn;
pub mod monitoring;
pub mod names;
pub mod observed;
pub mod outside;
pub mod pack;
pub mod promotion;
pub mod readable;
pub mod rows;
pub mod seen;
pub mod segment;
pub mod sequence;
pub mod tail;
pub mod tls_mode;
pub mod wal;
