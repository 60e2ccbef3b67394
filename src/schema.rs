//! What the database holds: packs of SQL migrations, read and checked.

pub mod packs;
