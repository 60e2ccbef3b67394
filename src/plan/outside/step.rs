//! The steps towards the outside. All of them are taken on the primary.

use std::collections::BTreeSet;
use std::fmt;

use super::mark::Mark;
use super::some;
use crate::model::names::{Ident, TableName};
use crate::model::outside::{DeclaredSubscription, Operation};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideStep {
    /// Make a publication, or bring one of ours to what is declared, in one transaction.
    SetPublication(Box<PublicationChange>),
    /// Add new chunks to a publication that is otherwise as declared.
    PublishChunks {
        /// The publication.
        name: Ident,
        /// The chunks.
        chunks: Vec<Member>,
    },
    /// Drop a publication.
    DropPublication {
        /// The publication.
        name: Ident,
    },
    /// Put passwords of subscriptions on the node's volume.
    GivePasswords {
        /// Of which subscriptions.
        subscriptions: BTreeSet<Ident>,
    },
    /// Create a subscription, which also creates its slot on the other server.
    CreateSubscription(Box<DeclaredSubscription>),
    /// Bring a subscription of ours to what is declared.
    ChangeSubscription(Box<SubscriptionChange>),
    /// Drop a subscription, with its slot on the other server.
    DropSubscription {
        /// The subscription.
        name: Ident,
    },
}

/// The way from the publication that is there to the declared one. Dropping comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationChange {
    /// The publication.
    pub name: Ident,
    /// It does not exist yet.
    pub is_new: bool,
    /// Tables and chunks to take out.
    pub drop: BTreeSet<TableName>,
    /// Tables and chunks to add; what was just taken out may come back otherwise.
    pub add: Vec<Member>,
    /// Schemas to take out.
    pub drop_schemas: BTreeSet<Ident>,
    /// Schemas to add.
    pub add_schemas: BTreeSet<Ident>,
    /// What is published from now on.
    pub operations: BTreeSet<Operation>,
    /// Its mark, without the filters of tables in `add`.
    pub mark: Mark,
}

/// A table or chunk as it is to be in a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which one.
    pub table: TableName,
    /// Only these columns.
    pub columns: Option<BTreeSet<Ident>>,
    /// Only these rows, as declared.
    pub filter: Option<String>,
    /// It is a chunk, of a hypertable that has the same columns and filter.
    pub is_chunk: bool,
}

/// The way from the subscription that is there to the declared one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// As declared.
    pub declared: DeclaredSubscription,
    /// It connects in another way.
    pub connection: bool,
    /// It reads other publications.
    pub publications: bool,
}

impl OutsideStep {
    /// The publication or subscription it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::SetPublication(change) => change.name.as_str(),
            Self::PublishChunks { name, .. } | Self::DropPublication { name } | Self::DropSubscription { name } => {
                name.as_str()
            }
            Self::GivePasswords { subscriptions } => subscriptions.first().map_or("passwords", Ident::as_str),
            Self::CreateSubscription(declared) => declared.name.as_str(),
            Self::ChangeSubscription(change) => change.declared.name.as_str(),
        }
    }

    /// The stable word for this kind of step.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::SetPublication(change) if change.is_new => "create_outside_publication",
            Self::SetPublication(_) => "change_outside_publication",
            Self::PublishChunks { .. } => "publish_outside_chunks",
            Self::DropPublication { .. } => "drop_outside_publication",
            Self::GivePasswords { .. } => "give_outside_passwords",
            Self::CreateSubscription(_) => "create_outside_subscription",
            Self::ChangeSubscription(_) => "change_outside_subscription",
            Self::DropSubscription { .. } => "drop_outside_subscription",
        }
    }
}

impl fmt::Display for OutsideStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetPublication(change) => {
                let verb = if change.is_new { "create" } else { "change" };
                write!(f, "{verb} publication {}", change.name)?;
                change.write_parts(f)
            }
            Self::PublishChunks { name, chunks } => {
                write!(f, "add {} to publication {name}", some(chunks.iter().map(|chunk| &chunk.table)))
            }
            Self::DropPublication { name } => write!(f, "drop publication {name}, which is declared no more"),
            Self::GivePasswords { subscriptions } => {
                let names: Vec<&str> = subscriptions.iter().map(Ident::as_str).collect();
                write!(f, "put the passwords of subscriptions {} on the primary's volume", names.join(", "))
            }
            Self::CreateSubscription(declared) => {
                write!(f, "subscribe {} to {}:{}", declared.name, declared.from.host, declared.from.port)
            }
            Self::ChangeSubscription(change) => write!(f, "change subscription {}", change.declared.name),
            Self::DropSubscription { name } => {
                write!(f, "drop subscription {name} and its slot, which is declared no more")
            }
        }
    }
}

impl PublicationChange {
    fn write_parts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added: BTreeSet<&TableName> = self.add.iter().map(|member| &member.table).collect();
        let dropped: Vec<&TableName> = self.drop.iter().filter(|table| !added.contains(table)).collect();
        let mut parts = Vec::new();
        if !added.is_empty() {
            parts.push(format!("with {}", some(added)));
        }
        if !self.add_schemas.is_empty() {
            parts.push(format!("with schemas {}", words(&self.add_schemas)));
        }
        if !dropped.is_empty() {
            parts.push(format!("without {}", some(dropped)));
        }
        if !self.drop_schemas.is_empty() {
            parts.push(format!("without schemas {}", words(&self.drop_schemas)));
        }
        if parts.is_empty() { Ok(()) } else { write!(f, " {}", parts.join(", ")) }
    }
}

fn words(names: &BTreeSet<Ident>) -> String {
    names.iter().map(Ident::as_str).collect::<Vec<_>>().join(", ")
}
