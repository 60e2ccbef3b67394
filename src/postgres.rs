//! PostgreSQL over the wire: the only layer that speaks SQL.
//!
//! In: addresses, names and steps' data. Out: facts as plain values, or a [`session::PostgresError`]. The statements
//! themselves live in `sql/`; values are bound, identifiers are quoted by `model::names`.

pub mod catch_up;
pub mod compare;
pub mod examine;
pub mod lock;
pub mod look;
pub mod outside;
pub mod password;
pub mod rows;
pub mod sequences;
pub mod session;
pub mod setup;
