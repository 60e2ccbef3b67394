//! PostgreSQL over the wire: the only layer that speaks SQL.
//!
//! In: addresses, names and steps' data. Out: facts as plain values, or a [`session::PostgresError`]. The statements
//! themselves live in `sql/`; values are bound, identifiers are quoted by `model::names`.

pub mod attempt;
pub mod backups;
pub mod base;
pub mod catch_up;
pub mod compare;
pub mod contents;
pub mod examine;
pub mod expiry;
pub mod failover_pause;
pub mod first_copy;
pub mod handover;
pub mod history;
pub mod job_runs;
pub mod ledger;
pub mod load;
pub mod lock;
pub mod look;
pub mod metrics;
pub mod outside;
pub mod password;
pub mod pooler;
pub mod rows;
pub mod sequences;
pub mod server_setting;
pub mod session;
pub mod setup;
pub mod stillness;
pub mod succession;
pub mod tls;
pub mod wal;
