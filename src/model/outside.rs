//! Publications for consumers outside the cluster, and subscriptions to servers outside of it: as declared, and as the
//! primary shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::names::{Ident, TableName};

/// Everything the configuration declares towards the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// What others may subscribe to, in the order of the file; names unique.
    pub publications: Vec<DeclaredPublication>,
    /// What the primary subscribes to elsewhere, in the order of the file; names unique.
    pub subscriptions: Vec<DeclaredSubscription>,
}

impl Outside {
    /// Nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.publications.is_empty() && self.subscriptions.is_empty()
    }
}

/// A publication for consumers outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredPublication {
    /// Its name.
    pub name: Ident,
    /// Single tables; of a hypertable every chunk as well.
    pub tables: Vec<DeclaredTable>,
    /// Whole schemas, with the chunks of their hypertables.
    pub schemas: BTreeSet<Ident>,
    /// What is published; never empty.
    pub operations: BTreeSet<Operation>,
    /// What becomes of it when it is declared no more.
    pub reclaim: Reclaim,
}

impl DeclaredPublication {
    /// A table it names.
    pub fn table(&self, name: &TableName) -> Option<&DeclaredTable> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// Updates or deletes are published, which takes a replica identity.
    pub fn needs_identity(&self) -> bool {
        self.operations.contains(&Operation::Update) || self.operations.contains(&Operation::Delete)
    }
}

/// A table of such a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredTable {
    /// Which table.
    pub name: TableName,
    /// Only these columns; `None`: all.
    pub columns: Option<BTreeSet<Ident>>,
    /// Only rows for which this expression is true.
    pub filter: Option<String>,
}

/// A subscription of the primary to a server outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSubscription {
    /// Its name, and that of its slot there.
    pub name: Ident,
    /// Where it subscribes.
    pub from: Origin,
    /// What it subscribes to; never empty.
    pub publications: BTreeSet<Ident>,
    /// Rows that are there already are copied.
    pub copy_data: bool,
    /// What becomes of it when it is declared no more.
    pub reclaim: Reclaim,
}

/// A database on a server outside the cluster, and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Host name or address, as the primary's container reaches it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Holds the role's password; read where `up` runs.
    pub password_file: PathBuf,
}

/// What a publication passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// New rows.
    Insert,
    /// Changed rows.
    Update,
    /// Deleted rows.
    Delete,
    /// `TRUNCATE`.
    Truncate,
}

impl Operation {
    /// All of them, in PostgreSQL's order.
    pub const ALL: [Self; 4] = [Self::Insert, Self::Update, Self::Delete, Self::Truncate];

    /// PostgreSQL's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

/// What becomes of something that is declared no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reclaim {
    /// It stays, and nobody looks after it.
    Retain,
    /// It is dropped.
    Delete,
}

impl Reclaim {
    /// The word in configuration, marks and output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::Delete => "delete",
        }
    }
}

/// What the primary shows of all this: what is declared, and what carries hypertide's mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutsideSeen {
    /// Publications.
    pub publications: BTreeMap<Ident, PublishedSeen>,
    /// Subscriptions.
    pub subscriptions: BTreeMap<Ident, SubscribedSeen>,
    /// Tables that are declared by name, and those in declared schemas.
    pub relations: BTreeMap<TableName, RelationSeen>,
    /// Declared schemas that exist.
    pub schemas: BTreeSet<Ident>,
    /// Chunks of hypertables among `relations`, each with its hypertable.
    pub chunks: BTreeMap<TableName, TableName>,
    /// Row filters that were tried out, by publication and table: only those that are not in force yet.
    pub filters: BTreeMap<(Ident, TableName), FilterSeen>,
    /// Passwords of subscriptions, where this process can look at them.
    pub passwords: BTreeMap<Ident, PasswordSeen>,
    /// What a server refused when this process tried it.
    pub refusals: BTreeMap<(Kind, Ident), String>,
}

/// The two kinds of things with a name here; PostgreSQL keeps their names apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A publication.
    Publication,
    /// A subscription.
    Subscription,
}

impl Kind {
    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Publication => "publication",
            Self::Subscription => "subscription",
        }
    }
}

/// A publication that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedSeen {
    /// Its comment.
    pub comment: Option<String>,
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// Changes of partitions are published as those of the partitioned table.
    pub via_root: bool,
    /// What it passes on.
    pub operations: BTreeSet<Operation>,
    /// Whole schemas.
    pub schemas: BTreeSet<Ident>,
    /// Tables by name, chunks left out.
    pub tables: BTreeMap<TableName, MemberSeen>,
    /// Chunks by name.
    pub chunks: BTreeMap<TableName, ChunkMemberSeen>,
    /// Tables it covers in one way or the other, chunks left out.
    pub table_count: usize,
    /// Chunks it covers in one way or the other.
    pub chunk_count: usize,
}

/// A table of a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberSeen {
    /// Only these columns.
    pub columns: Option<BTreeSet<Ident>>,
    /// Only these rows, in PostgreSQL's own words.
    pub filter: Option<String>,
}

/// A chunk of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkMemberSeen {
    /// Its hypertable.
    pub root: TableName,
    /// Columns and filter are those of its hypertable in the same publication.
    pub is_like_root: bool,
}

/// A subscription that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribedSeen {
    /// Its comment.
    pub comment: Option<String>,
    /// It is enabled.
    pub enabled: bool,
    /// Its connection string.
    pub connection: String,
    /// What it subscribes to.
    pub publications: BTreeSet<Ident>,
    /// Its apply worker runs.
    pub is_applying: bool,
    /// Tables it knows.
    pub tables: usize,
    /// Those that are still being copied.
    pub copying: usize,
    /// Received and not yet reported as applied, in bytes.
    pub lag_bytes: Option<u64>,
    /// Failed attempts to apply or to copy, since statistics were reset.
    pub errors: u64,
}

/// A relation that a publication is to cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationSeen {
    /// What it is.
    pub kind: RelationKind,
    /// How its rows are told apart in updates and deletes.
    pub identity: Identity,
    /// Its columns, and whether each is generated; read only when it is declared by name.
    pub columns: BTreeMap<Ident, bool>,
    /// A hypertable that has compression enabled.
    pub compressed: bool,
}

/// Kinds of relations, as far as publications care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// An ordinary, partitioned or hypertable.
    Table,
    /// A chunk of a hypertable.
    Chunk,
    /// A view, a sequence, an unlogged table: nothing that can be published.
    Other,
}

/// A replica identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// None: updates and deletes cannot be published.
    Nothing,
    /// The whole row.
    Full,
    /// The columns of a key.
    Columns(BTreeSet<Ident>),
}

/// A row filter that was tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterSeen {
    /// PostgreSQL takes it; it reads these columns.
    Reads(BTreeSet<Ident>),
    /// PostgreSQL refuses it, and says why.
    Refused(String),
}

/// The password of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSeen {
    /// The node has it.
    Given,
    /// The node has none or another one.
    Outdated,
    /// Its file cannot be used.
    Unreadable {
        /// Why.
        because: String,
    },
}
