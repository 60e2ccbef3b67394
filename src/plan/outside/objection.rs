//! Why something declared towards the outside is not done, or does not work. The rest of the cluster goes on.

use std::fmt;

use crate::model::names::{Ident, TableName};
use crate::model::outside::Kind;

/// Why something is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// One of that name carries no mark of ours.
    NotOurs(Kind),
    /// A declared table does not exist.
    NoTable(TableName),
    /// A declared schema does not exist.
    NoSchema(Ident),
    /// A view, a chunk, an unlogged table.
    NotPublishable(TableName),
    /// A declared column does not exist.
    NoColumn(TableName, Ident),
    /// A generated column, whose values are not replicated.
    GeneratedColumn(TableName, Ident),
    /// Updates or deletes are published, and nothing identifies the rows.
    NoIdentity(TableName),
    /// Updates or deletes are published, and the list of columns leaves out one that identifies the rows.
    ColumnsLackIdentity(TableName, Ident),
    /// Updates or deletes are published, the list of columns is not all of them, and the whole row identifies rows.
    ColumnsOfFullIdentity(TableName),
    /// Updates or deletes are published, and the filter reads a column that does not identify the rows.
    FilterBeyondIdentity(TableName, Ident),
    /// PostgreSQL refuses the filter.
    FilterRefused(TableName, String),
    /// A hypertable has compression enabled.
    Compressed(TableName),
    /// The password file cannot be used.
    NoPassword(String),
    /// A server refused it.
    Refused(String),
    /// The other server could not be told to drop the slot.
    SlotStays(Ident, String),
    /// Somebody disabled the subscription.
    Disabled(Ident),
    /// Changes do not arrive; counts the failed attempts.
    Failing(u64),
}

impl Objection {
    /// The stable word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotOurs(_) => "not_ours",
            Self::NoTable(_) => "no_table",
            Self::NoSchema(_) => "no_schema",
            Self::NotPublishable(_) => "not_publishable",
            Self::NoColumn(..) => "no_column",
            Self::GeneratedColumn(..) => "generated_column",
            Self::NoIdentity(_) => "no_replica_identity",
            Self::ColumnsLackIdentity(..) | Self::ColumnsOfFullIdentity(_) => "columns_lack_identity",
            Self::FilterBeyondIdentity(..) => "filter_beyond_identity",
            Self::FilterRefused(..) => "filter_refused",
            Self::Compressed(_) => "compressed_hypertable",
            Self::NoPassword(_) => "no_password",
            Self::Refused(_) => "server_refused",
            Self::SlotStays(..) => "slot_stays",
            Self::Disabled(_) => "subscription_disabled",
            Self::Failing(_) => "subscription_failing",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NotOurs(kind) => {
                format!("choose another name for it in hypertide.yaml, or drop that {}", kind.word())
            }
            Self::NoTable(_) | Self::NoSchema(_) => {
                "create it and run `hypertide up`, or take it out of hypertide.yaml".into()
            }
            Self::NotPublishable(_) => {
                "name a table that keeps its rows in the log; of a chunk, name its hypertable".into()
            }
            Self::NoColumn(..) | Self::GeneratedColumn(..) => "take it out of `columns` in hypertide.yaml".into(),
            Self::NoIdentity(table) => format!(
                "add a primary key to {table}, or `ALTER TABLE {table} REPLICA IDENTITY FULL`, or publish \
                 `operations: [insert]`"
            ),
            Self::ColumnsLackIdentity(_, column) => {
                format!("add {column} to `columns`, or publish `operations: [insert]`")
            }
            Self::ColumnsOfFullIdentity(table) => format!(
                "give {table} a replica identity of some columns, leave `columns` out, or publish `operations: [insert]`"
            ),
            Self::FilterBeyondIdentity(table, column) => format!(
                "filter by other columns, add {column} to the replica identity of {table}, or publish \
                 `operations: [insert]`"
            ),
            Self::FilterRefused(..) => "mend `where` in hypertide.yaml: columns of that table, constants and built-in \
                 operators and functions that are immutable"
                .into(),
            Self::Compressed(table) => {
                format!("disable compression on {table}, or let the consumer take a physical replica instead")
            }
            Self::NoPassword(_) => "put the password, and nothing else, into that file and run `hypertide up`".into(),
            Self::Refused(_) => "mend what it names, then run `hypertide up`, which tries again".into(),
            Self::SlotStays(name, _) => format!(
                "bring the other server back and run `hypertide up`; or give the slot up: `ALTER SUBSCRIPTION {name} \
                 DISABLE`, then `SET (slot_name = NONE)`, then `DROP SUBSCRIPTION {name}`, and drop slot {name} over there, \
                 where it keeps log until the disk is full"
            ),
            Self::Disabled(name) => format!("`ALTER SUBSCRIPTION {name} ENABLE` on the primary"),
            Self::Failing(_) => "`hypertide logs primary` names the row or table, or why it does not connect".into(),
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs(kind) => {
                write!(f, "a {} of this name exists that hypertide did not make; it is left alone", kind.word())
            }
            Self::NoTable(table) => write!(f, "{table} does not exist and is not published"),
            Self::NoSchema(schema) => write!(f, "schema {schema} does not exist and is not published"),
            Self::NotPublishable(table) => write!(f, "{table} is no table that can be published"),
            Self::NoColumn(table, column) => write!(f, "{table} has no column {column}"),
            Self::GeneratedColumn(table, column) => {
                write!(f, "column {column} of {table} is generated, which PostgreSQL does not publish")
            }
            Self::NoIdentity(table) => {
                write!(f, "{table} has no primary key or replica identity; published, its UPDATEs would fail")
            }
            Self::ColumnsLackIdentity(table, column) => write!(
                f,
                "the columns of {table} leave out {column} of its replica identity; published, its UPDATEs would fail"
            ),
            Self::ColumnsOfFullIdentity(table) => write!(
                f,
                "the replica identity of {table} is the whole row; published with a list of columns, its UPDATEs would fail"
            ),
            Self::FilterBeyondIdentity(table, column) => write!(
                f,
                "the filter of {table} reads {column}, which is not in its replica identity; published, its UPDATEs would \
                 fail"
            ),
            Self::FilterRefused(table, because) => write!(f, "PostgreSQL refuses the filter of {table}: {because}"),
            Self::Compressed(table) => {
                write!(f, "{table} has compression enabled, which logical replication would lose rows over")
            }
            Self::NoPassword(because) => write!(f, "its password is not to be had: {because}"),
            Self::Refused(because) => f.write_str(because),
            Self::SlotStays(_, because) => {
                write!(f, "is to be dropped, and its slot on the other server cannot be: {because}")
            }
            Self::Disabled(_) => f.write_str("the subscription is disabled"),
            Self::Failing(errors) => {
                write!(f, "changes of the other server do not arrive ({errors} failed attempts)")
            }
        }
    }
}
