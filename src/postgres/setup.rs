//! Statements that change a server, one function per step. Each can be repeated without harm.

mod database;
mod migration;
mod publisher;
mod roles;
mod subscriber;

pub use database::{create_database, install_catalog};
pub use migration::{MigrationContext, MigrationError, apply_migration};
pub use publisher::{create_physical_slot, create_publication, drop_slot, publish_schemas, publish_tables};
pub use roles::{Verifiers, create_roles, verifiers};
pub use subscriber::{empty_tables, make_chunks, prepare_subscriber, refresh_subscription, subscribe, unsubscribe};
