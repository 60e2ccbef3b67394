//! The words for steps: the label in JSON and logs, the sentence for people, and both in a plan's JSON.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::{Plan, StandbySetting, Step, Subject};

impl Step {
    /// The stable word for this kind of step, in JSON and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::ProvideImage => "provide_image",
            Self::ProvideToolImage => "provide_tool_image",
            Self::CreateSecrets => "create_secrets",
            Self::CreateNetwork => "create_network",
            Self::CreateVolume { .. } => "create_volume",
            Self::CloneStandby { .. } => "clone_standby",
            Self::Rejoin { .. } => "rejoin",
            Self::Follow { .. } => "follow",
            Self::RaiseEpoch { .. } => "raise_epoch",
            Self::LiftFence { .. } => "lift_fence",
            Self::Demote { .. } => "demote",
            Self::CreateNode { .. } => "create_node",
            Self::GiveSecrets { .. } => "give_secrets",
            Self::StartNode { .. } => "start_node",
            Self::StopNode { .. } => "stop_node",
            Self::RemoveContainer { .. } => "remove_container",
            Self::RemoveVolume { .. } => "remove_volume",
            Self::CreateRoles { .. } => "create_roles",
            Self::AlignPasswords { .. } => "align_passwords",
            Self::CreateDatabase { .. } => "create_database",
            Self::InstallCatalog { .. } => "install_catalog",
            Self::CatchUp { .. } => "catch_up",
            Self::ApplyMigration { .. } => "apply_migration",
            Self::CreatePublication { .. } => "create_publication",
            Self::PublishSchemas { .. } => "publish_schemas",
            Self::PublishTables { .. } => "publish_tables",
            Self::EnableAutoPublication { .. } => "enable_auto_publication",
            Self::CreateSlot { .. } => "create_slot",
            Self::DropSlot { .. } => "drop_slot",
            Self::PrepareSubscriber { .. } => "prepare_subscriber",
            Self::MirrorChunks { .. } => "mirror_chunks",
            Self::AlignPartitioning { .. } => "align_partitioning",
            Self::RetireChunks { .. } => "retire_chunks",
            Self::KeepPlaces { .. } => "keep_places",
            Self::ForgetRetired { .. } => "forget_retired",
            Self::MakeChunksAhead { .. } => "make_chunks_ahead",
            Self::GuardTables { .. } => "guard_tables",
            Self::UnguardTables { .. } => "unguard_tables",
            Self::SetStandbys { setting: StandbySetting::SynchronousNames, .. } => "set_synchronous_standby_names",
            Self::SetStandbys { setting: StandbySetting::SynchronizedSlots, .. } => "set_synchronized_standby_slots",
            Self::SetApplyFlush { .. } => "set_apply_flush",
            Self::Resubscribe { .. } => "resubscribe",
            Self::Redirect { .. } => "redirect",
            Self::Subscribe { .. } => "subscribe",
            Self::RefreshSubscription { .. } => "refresh_subscription",
            Self::Unsubscribe { .. } => "unsubscribe",
            Self::EmptyReplica { .. } => "empty_replica",
            Self::Outside { step, .. } => step.label(),
            Self::Endpoint { step, .. } => step.label(),
            Self::Monitor { step, .. } => step.label(),
            Self::RemoveAgent => "remove_agent",
            Self::CreateAgent { .. } => "create_agent",
            Self::StartAgent => "start_agent",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProvideImage => f.write_str("provide the database image"),
            Self::ProvideToolImage => f.write_str("build the image the agent runs"),
            Self::CreateSecrets => f.write_str("generate the cluster's passwords"),
            Self::CreateNetwork => f.write_str("create the network"),
            Self::CreateVolume { spec } => write!(f, "create the data volume of {}", spec.node),
            Self::CloneStandby { node, from } => write!(f, "fill {node} with a base backup of {from}"),
            Self::Rejoin { node, from } => write!(f, "make {node} a standby of {from}"),
            Self::Follow { node, from } => write!(f, "have {node} follow {from}"),
            Self::RaiseEpoch { node, epoch } => write!(f, "begin epoch {epoch} with {node} as the primary"),
            Self::LiftFence { node, to } => {
                write!(f, "let {node} take writes again, since {to} did not take its place")
            }
            Self::Demote { node, from, .. } => write!(f, "make {node} a logical replica of {from}"),
            Self::CreateNode { spec } => {
                write!(f, "create the container of {} ({}, port {})", spec.node, spec.seat, spec.port)
            }
            Self::GiveSecrets { node } => write!(f, "give {node} its passwords"),
            Self::StartNode { node } => write!(f, "start {node} and wait until it answers"),
            Self::StopNode { node } => write!(f, "stop {node} cleanly"),
            Self::RemoveContainer { node } => write!(f, "remove the container of {node}, keeping its volume"),
            Self::RemoveVolume { node } => write!(f, "remove the volume of {node} with all data in it"),
            Self::CreateRoles { node } => write!(f, "create the login roles on {node}"),
            Self::AlignPasswords { node, from } => write!(f, "give {node} the password verifiers of {from}"),
            Self::CreateDatabase { node } => write!(f, "create the database on {node}"),
            Self::InstallCatalog { node, .. } => write!(f, "install TimescaleDB and hypertide's schema on {node}"),
            Self::CatchUp { node, with } => write!(f, "wait until {node} has applied what {with} has"),
            Self::ApplyMigration { node, id, .. } => write!(f, "apply migration {id} on {node}"),
            Self::CreatePublication { node, schemas } => {
                write!(f, "create the publication on {node} for schemas {}", list(schemas))
            }
            Self::PublishSchemas { node, schemas } => {
                write!(f, "add schemas {} to the publication on {node}", list(schemas))
            }
            Self::PublishTables { node, tables } => {
                write!(f, "add {} to the publication on {node}", list(tables))
            }
            Self::EnableAutoPublication { node } => write!(f, "let TimescaleDB publish new chunks on {node}"),
            Self::CreateSlot { node, slot } => write!(f, "create the replication slot {slot} on {node}"),
            Self::DropSlot { node, slot } => write!(f, "drop the replication slot {slot} on {node}"),
            Self::PrepareSubscriber { node, .. } => {
                write!(f, "make {node} ready to subscribe, read-only for applications")
            }
            Self::MirrorChunks { node, chunks } => write!(f, "create {} on {node}", counted(chunks.len())),
            Self::AlignPartitioning { node, hypertables } => {
                let names: BTreeSet<_> = hypertables.iter().map(|hypertable| &hypertable.name).collect();
                write!(f, "divide {} on {node} as the primary does", list(&names))
            }
            Self::RetireChunks { node, from, chunks } => {
                write!(f, "drop {} on {node} that {from} has dropped", counted(chunks.len()))
            }
            Self::KeepPlaces { node, from, chunks, .. } => {
                write!(f, "keep the places of {} on {node} that {from} has dropped", list(chunks))
            }
            Self::ForgetRetired { node, chunks } => {
                write!(f, "clear the places of {} on {node}", counted(chunks.len()))
            }
            Self::MakeChunksAhead { node, chunks } => write!(f, "create {} ahead on {node}", counted(chunks.len())),
            Self::GuardTables { node, tables } => write!(f, "make {} read-only on {node}", list(tables)),
            Self::UnguardTables { node, tables } => write!(f, "let {} be written to on {node}", list(tables)),
            Self::SetStandbys { node, setting, value, .. } => {
                let who = match setting {
                    StandbySetting::SynchronousNames => "commits",
                    StandbySetting::SynchronizedSlots => "senders of logical replicas",
                };
                let whom = if value.is_empty() { "no replica" } else { value };
                write!(f, "have {who} on {node} wait for {whom}")
            }
            Self::SetApplyFlush { node, flushes: true } => write!(f, "have {node} flush each commit that it applies"),
            Self::SetApplyFlush { node, flushes: false } => {
                write!(f, "have {node} flush the commits that it applies when it suits it")
            }
            Self::Redirect { node, to } => write!(f, "have the subscription of {node} go on at {to}"),
            Self::Resubscribe { node, to } => write!(f, "subscribe {node} to {to}, from where its own rows end"),
            Self::Subscribe { node, to } => write!(f, "subscribe {node} to {to}"),
            Self::RefreshSubscription { node } => write!(f, "refresh the subscription of {node}"),
            Self::Unsubscribe { node } => write!(f, "drop the subscription of {node}"),
            Self::EmptyReplica { node, tables } => write!(f, "empty {} on {node}", list(tables)),
            Self::Outside { step, .. } => step.fmt(f),
            Self::Endpoint { access, step } => step.tell(*access, f),
            Self::Monitor { monitor, step } => step.tell(*monitor, f),
            Self::RemoveAgent => f.write_str("remove the agent's container"),
            Self::CreateAgent { .. } => f.write_str("create the agent"),
            Self::StartAgent => f.write_str("start the agent"),
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let node = match self.subject() {
            Subject::Node(node) => Some(node),
            Subject::Host | Subject::Endpoint(_) | Subject::Monitor(_) | Subject::Agent => None,
        };
        let mut json = serializer.serialize_struct("Step", 3)?;
        json.serialize_field("step", self.label())?;
        json.serialize_field("node", &node)?;
        json.serialize_field("text", &self.to_string())?;
        json.end()
    }
}

fn counted(chunks: usize) -> String {
    if chunks == 1 { "1 chunk".into() } else { format!("{chunks} chunks") }
}

/// Up to five names, then how many more.
fn list<T: fmt::Display>(names: &BTreeSet<T>) -> String {
    let shown: Vec<String> = names.iter().take(5).map(ToString::to_string).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Plan", 2)?;
        json.serialize_field("steps", &self.steps().collect::<Vec<_>>())?;
        json.serialize_field("holds", &self.holds)?;
        json.end()
    }
}
