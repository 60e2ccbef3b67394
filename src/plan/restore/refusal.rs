//! Why a backup is not restored as asked, as one closed list: a label for scripts, a sentence and help for people.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Reach, Target};
use crate::model::backup::Kind;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No local image has the versions the backup was made with.
    NoImage {
        /// PostgreSQL's.
        postgres_major: u32,
        /// TimescaleDB's.
        timescaledb: Option<String>,
        /// What it was made on.
        reference: Option<String>,
        /// What there is.
        offered: Vec<String>,
    },
    /// The running server cannot create that version of TimescaleDB.
    OtherExtension {
        /// The backup's.
        wanted: String,
        /// The server's.
        offered: Vec<String>,
        /// The image the backup was made on.
        reference: Option<String>,
    },
    /// The running server is of an earlier major version.
    OlderServer {
        /// Its own.
        server: u32,
        /// The backup's.
        backup: u32,
    },
    /// No primary takes writes.
    NoServer,
    /// The destination exists.
    Exists {
        /// The destination as typed.
        what: String,
        /// Its bare name.
        name: String,
    },
    /// Another name was typed after `--replace`.
    OtherName {
        /// What was typed.
        typed: String,
        /// What it is.
        name: String,
    },
    /// Something of that name is not ours.
    Foreign {
        /// The destination as typed.
        what: String,
        /// What is there.
        whose: String,
    },
    /// A whole cluster is not replaced under its replicas.
    LiveCluster {
        /// Its name.
        name: String,
    },
    /// Somebody listens on the port.
    PortTaken {
        /// Who.
        holder: String,
    },
    /// The disk is too small.
    NoRoom {
        /// Free bytes.
        free: u64,
        /// Needed bytes.
        needed: u64,
    },
    /// A logical backup knows one moment only.
    NotPhysical {
        /// Its kind.
        kind: Kind,
        /// What was asked for.
        target: Target,
    },
    /// It is about a whole server and does not go into a database.
    WholeServer {
        /// Its kind.
        kind: Kind,
    },
    /// It holds no database.
    NothingToServe {
        /// Its kind.
        kind: Kind,
    },
    /// The target is earlier than the backup can be consistent.
    BeforeBase {
        /// The target.
        target: Target,
        /// The earliest.
        end: String,
    },
    /// The target is later than the archive.
    BeyondArchive {
        /// The target.
        target: Target,
        /// The earliest possible.
        from: DateTime<Utc>,
        /// How far one gets.
        reach: Reach,
    },
    /// A segment is missing on the way.
    Gap {
        /// The first one that is missing.
        missing: String,
        /// How far one gets.
        reach: Reach,
    },
    /// The archive's newest timeline left the backup's before the backup was made.
    Forked {
        /// The backup's timeline.
        backup: u32,
        /// The newest.
        newest: u32,
        /// Where the newest left; `None`: it never was on the backup's.
        at: Option<String>,
    },
}

impl Refusal {
    /// A stable word for scripts.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NoImage { .. } => "no_image",
            Self::OtherExtension { .. } => "other_extension",
            Self::OlderServer { .. } => "older_server",
            Self::NoServer => "no_server",
            Self::Exists { .. } => "exists",
            Self::OtherName { .. } => "other_name",
            Self::Foreign { .. } => "foreign",
            Self::LiveCluster { .. } => "live_cluster",
            Self::PortTaken { .. } => "port_taken",
            Self::NoRoom { .. } => "no_room",
            Self::NotPhysical { .. } => "not_physical",
            Self::WholeServer { .. } => "whole_server",
            Self::NothingToServe { .. } => "nothing_to_serve",
            Self::BeforeBase { .. } => "before_base",
            Self::BeyondArchive { .. } => "beyond_archive",
            Self::Gap { .. } => "gap",
            Self::Forked { .. } => "forked",
        }
    }

    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            Self::NoImage { reference: Some(reference), .. } => format!("`docker pull {reference}`, then try again"),
            Self::NoImage { postgres_major, timescaledb, .. } => format!(
                "bring an image with PostgreSQL {postgres_major} and TimescaleDB {} onto this host, such as \
                 timescale/timescaledb:{}-pg{postgres_major}",
                timescaledb.as_deref().unwrap_or("(any)"),
                timescaledb.as_deref().unwrap_or("latest"),
            ),
            Self::OtherExtension { wanted, reference, .. } => format!(
                "restore with `--into new:NAME`, which runs {}, and update the extension there with \
                 `ALTER EXTENSION timescaledb UPDATE`",
                reference.as_deref().map_or_else(|| format!("an image with TimescaleDB {wanted}"), str::to_owned)
            ),
            Self::OlderServer { .. } => "restore with `--into new:NAME`".into(),
            Self::NoServer => "`hypertide up` starts the primary; or restore with `--into new:NAME`".into(),
            Self::Exists { name, .. } => {
                format!("choose another name, or replace it with `--replace {name}`: what is there now will be gone")
            }
            Self::OtherName { name, .. } => format!("type `--replace {name}` when that is what shall be replaced"),
            Self::Foreign { .. } => "choose another name; what hypertide did not make, it does not touch".into(),
            Self::LiveCluster { name } => format!(
                "restore it under another name beside it, or remove it first (`hypertide destroy --yes` with the \
                 configuration of {name})"
            ),
            Self::PortTaken { .. } => "choose another with `--port`".into(),
            Self::NoRoom { .. } => "make room where Docker keeps its volumes".into(),
            Self::NotPhysical { .. } => {
                "choose a backup of kind base for another moment than its own, or leave the option out".into()
            }
            Self::WholeServer { .. } => "restore with `--into new:NAME`, or choose a full backup".into(),
            Self::NothingToServe { .. } => {
                "`hypertide backup drill` proves it; its SQL is read with `hypertide backup show --sql`".into()
            }
            Self::BeforeBase { .. } => "choose an earlier base backup, or `latest` with `--to-time`".into(),
            Self::BeyondArchive { .. } => {
                "choose a target within that range, or `--to-time latest` for the end of it".into()
            }
            Self::Gap { .. } => "choose a target before the gap, or a base backup after it".into(),
            Self::Forked { .. } => {
                "choose a base backup of the newest timeline, or restore this one without a target".into()
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage { postgres_major, timescaledb, reference, offered } => {
                let version = timescaledb.as_deref().unwrap_or("any version");
                write!(f, "no image on this host has PostgreSQL {postgres_major} and TimescaleDB {version}")?;
                if let Some(reference) = reference {
                    write!(f, ", as {reference} has on which the backup was made")?;
                }
                if offered.is_empty() { Ok(()) } else { write!(f, "; there is {}", offered.join(", ")) }
            }
            Self::OtherExtension { wanted, offered, .. } => write!(
                f,
                "the backup has TimescaleDB {wanted}, and the primary can create {}",
                if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
            ),
            Self::OlderServer { server, backup } => {
                write!(f, "the backup is of PostgreSQL {backup}, and the primary runs {server}")
            }
            Self::NoServer => f.write_str("no primary answers and takes writes"),
            Self::Exists { what, .. } => write!(f, "{what} exists"),
            Self::OtherName { typed, name } => {
                write!(f, "`{typed}` is to be replaced, and the destination is `{name}`")
            }
            Self::Foreign { what, whose } => write!(f, "{whose} has the name of {what} and is not hypertide's"),
            Self::LiveCluster { name } => write!(f, "cluster {name} exists, with replicas that follow its primary"),
            Self::PortTaken { holder } => write!(f, "the port is taken by {holder}"),
            Self::NoRoom { free, needed } => write!(f, "{needed} bytes are needed and {free} are free"),
            Self::NotPhysical { kind, target } => {
                write!(f, "a {kind} backup holds its own moment only, not {target}")
            }
            Self::WholeServer { kind } => write!(f, "a {kind} backup is a whole server, not a database"),
            Self::NothingToServe { kind } => write!(f, "a {kind} backup holds no database"),
            Self::BeforeBase { target, end } => {
                write!(f, "{target} is before the backup is consistent, which is at {end}")
            }
            Self::BeyondArchive { target, from, reach } => {
                write!(
                    f,
                    "{target} is beyond the archive; possible is {} to {reach}",
                    from.format("%Y-%m-%dT%H:%M:%SZ")
                )
            }
            Self::Gap { missing, reach } => {
                write!(f, "the log has a gap: segment {missing} is missing; it leads to {reach}")
            }
            Self::Forked { backup, newest, at: Some(at) } => write!(
                f,
                "the backup is on timeline {backup} beyond {at}, where timeline {newest} left it: its rows are not those of \
                 the cluster today"
            ),
            Self::Forked { backup, newest, at: None } => {
                write!(f, "the backup is on timeline {backup}, which timeline {newest} does not come from")
            }
        }
    }
}

impl serde::Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Refusal", 3)?;
        out.serialize_field("reason", self.label())?;
        out.serialize_field("message", &self.to_string())?;
        out.serialize_field("help", &self.help())?;
        out.end()
    }
}
