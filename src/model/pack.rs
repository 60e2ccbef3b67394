//! A pack: a versioned set of SQL migrations that belong together.

use std::collections::BTreeSet;

use serde::Serialize;

use super::names::Ident;

/// A pack as found on disk or in the binary; migrations are sorted by number and numbers are unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Its name; part of the key in `hypertide.schema_migrations`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Schemas whose tables are replicated (members of the publication).
    pub published: Vec<Ident>,
    /// Schemas that hold the chunks of published hypertables; published along with them.
    pub chunk_schemas: Vec<Ident>,
    /// Every schema the pack makes, published ones and chunk schemas included; grants are given on these.
    pub schemas: Vec<Ident>,
    /// In the order of their numbers.
    pub migrations: Vec<Migration>,
}

/// One numbered SQL file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Which pack and number, and the words of the file name.
    pub id: MigrationId,
    /// SHA-256 of the file's bytes, lower-case hex.
    pub checksum: String,
    /// What the database must be for this migration to run.
    pub needs: Needs,
    /// It takes tables or columns away: the primary goes first, and each logical replica follows once it has applied what
    /// still needs them. All others go the other way round, so that what is added is there when its first row arrives.
    pub is_primary_first: bool,
    /// The statements; run in one transaction.
    pub sql: String,
}

/// Names a migration: `trading/003_compression`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MigrationId {
    /// The pack.
    pub pack: String,
    /// The number that orders it.
    pub number: u32,
    /// The rest of the file's name.
    pub what: String,
}

/// What a migration asks of the database it runs in. Stated in the file's head (`-- needs: community`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Uses features that only the community edition has.
    pub community: bool,
    /// Must not run where a hypertable is replicated logically (compression, for one).
    pub no_logical_replica: bool,
}

/// A row of `hypertide.schema_migrations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppliedMigration {
    /// Which one.
    pub id: MigrationId,
    /// The checksum it had when it was applied.
    pub checksum: String,
}

/// All migrations recorded in a database.
pub type Applied = Vec<AppliedMigration>;

impl std::fmt::Display for MigrationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{:03}_{}", self.pack, self.number, self.what)
    }
}

impl Pack {
    /// The schemas of all these packs together.
    pub fn all_schemas<'a>(packs: impl IntoIterator<Item = &'a Self>) -> BTreeSet<Ident> {
        packs.into_iter().flat_map(|pack| pack.schemas.iter().cloned()).collect()
    }
}
