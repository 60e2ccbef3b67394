//! Statements that change a server, one function per step. Each can be repeated without harm.

mod chunks;
mod database;
mod migration;
mod outside;
mod publisher;
mod roles;
mod subscriber;

pub use chunks::{
    align_partitioning, forget_retired, gone, keep_places, make_chunks, make_chunks_ahead, retire_chunks,
};
pub use database::{CATALOG, create_database, install_catalog};
pub use migration::{MigrationContext, MigrationError, apply_migration};
pub use outside::{
    change_subscription, create_subscription, drop_publication, drop_subscription, is_applying, publish_outside_chunks,
    set_publication,
};
pub use publisher::{
    create_physical_slot, create_publication, drop_slot, enable_auto_publication, publish_schemas, publish_tables,
};
pub use roles::{Verifiers, create_roles, verifiers};
pub use subscriber::{
    empty_tables, guard_tables, is_subscribed, prepare_subscriber, refresh_subscription, set_apply_flush,
    unguard_tables, unsubscribe,
};
