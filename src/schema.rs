//! What the database holds: packs of SQL migrations, read, checked and begun, and the schema described for people.

pub mod docs;
pub mod fresh;
pub mod packs;
