//! Whether a backup can be restored as asked, with which image, and how far the log is followed. Every "no" comes before anything
//! is touched.
//!
//! In: the backup, the wish, what is on the host and in the store. Out: a [`RestorePlan`], or every reason against it. Reads no
//! clock and does no I/O.

mod log;
mod refusal;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use log::{Archive, Fork, Reach, SEGMENT_BYTES, Segment};
pub use refusal::Refusal;

use crate::model::backup::{BackupId, Kind};
use crate::model::lsn::Lsn;
use crate::model::names::{ClusterName, Ident, NodeName};
use crate::model::observed::ImageFacts;

/// Free space that has to be left beside what a restore takes: the log it writes, and air.
const ROOM_FACTOR: f64 = 1.2;

/// Where a backup goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A database of the running primary.
    Database(Ident),
    /// A server of its own beside the cluster, not replicated.
    Node(NodeName),
    /// A new cluster, whose primary has the data.
    Cluster(ClusterName),
}

/// Up to where the log is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The moment of the backup itself.
    Backup,
    /// The last transaction that had committed by then.
    Time(DateTime<Utc>),
    /// This position.
    Lsn(Lsn),
    /// A restore point by its name.
    Name(String),
    /// As far as the archive goes.
    Latest,
}

/// What a plan has to know about a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its name.
    pub id: BackupId,
    /// What it holds.
    pub kind: Kind,
    /// PostgreSQL's major version.
    pub postgres_major: u32,
    /// TimescaleDB's version, where the database has it.
    pub timescaledb: Option<String>,
    /// The image's content address.
    pub image: Option<String>,
    /// The reference it was known by.
    pub image_reference: Option<String>,
    /// Bytes before compression, those of its parents included.
    pub raw_bytes: u64,
    /// When it was begun.
    pub began: DateTime<Utc>,
    /// Its timeline.
    pub timeline: u32,
    /// Where recovery starts.
    pub start: Lsn,
    /// Where it is consistent; dumps have none.
    pub end: Option<Lsn>,
    /// The restore point whose rows are on record.
    pub restore_point: Option<(String, Lsn)>,
}

/// What stands where the backup is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Free,
    /// Something of that name, of ours.
    Ours,
    /// Something of that name that does not carry the cluster's label; says what.
    Foreign(String),
}

/// The running server of [`Destination::Database`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// PostgreSQL's major version.
    pub postgres_major: u32,
    /// Versions of TimescaleDB it can create.
    pub timescaledb: Vec<String>,
}

/// What a restore is planned on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Images on this host that hold PostgreSQL.
    pub images: Vec<ImageFacts>,
    /// What has the destination's name already.
    pub standing: Standing,
    /// The server of [`Destination::Database`]; `None` when there is none that takes writes.
    pub server: Option<ServerFacts>,
    /// Who has the wanted port.
    pub port_holder: Option<String>,
    /// Free bytes where volumes are; `None`: not known, and not judged.
    pub free_bytes: Option<u64>,
    /// The log in the store.
    pub archive: Archive,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Where to.
    pub destination: Destination,
    /// Up to where.
    pub target: Target,
    /// The name that was typed after `--replace`.
    pub replace: Option<String>,
    /// Scheduled jobs run afterwards.
    pub enable_jobs: bool,
}

/// A restore that can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestorePlan {
    /// The image to do it with; `None`: the running server's own.
    pub image: Option<ImageFacts>,
    /// The timeline to follow.
    pub timeline: u32,
    /// What is done, in order, for people.
    pub steps: Vec<String>,
    /// What is worth knowing before.
    pub notes: Vec<String>,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(name) => write!(f, "database:{name}"),
            Self::Node(name) => write!(f, "new:{name}"),
            Self::Cluster(name) => write!(f, "cluster:{name}"),
        }
    }
}

impl Destination {
    /// The bare name, which has to be typed to replace it.
    pub fn name(&self) -> &str {
        match self {
            Self::Database(name) => name.as_str(),
            Self::Node(name) => name.as_str(),
            Self::Cluster(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup => f.write_str("the moment of the backup"),
            Self::Time(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ")),
            Self::Lsn(lsn) => write!(f, "{lsn}"),
            Self::Name(name) => write!(f, "the restore point `{name}`"),
            Self::Latest => f.write_str("the end of the archive"),
        }
    }
}

/// The image a backup can be brought to life with: the very one it was made on, else one of the same major version of
/// PostgreSQL and the same version of TimescaleDB.
pub fn image<'a>(backup: &Backup, images: &'a [ImageFacts]) -> Result<&'a ImageFacts, Refusal> {
    let fits = |image: &&ImageFacts| {
        image.postgres_major == Some(backup.postgres_major)
            && (backup.timescaledb.is_none() || image.timescaledb == backup.timescaledb)
    };
    let same = images.iter().find(|image| Some(&image.id) == backup.image.as_ref());
    let by_name = || images.iter().filter(fits).find(|image| Some(&image.reference) == backup.image_reference.as_ref());
    same.or_else(by_name).or_else(|| images.iter().find(fits)).ok_or_else(|| Refusal::NoImage {
        postgres_major: backup.postgres_major,
        timescaledb: backup.timescaledb.clone(),
        reference: backup.image_reference.clone(),
        offered: images.iter().map(described).collect(),
    })
}

fn described(image: &ImageFacts) -> String {
    let timescaledb = image.timescaledb.as_deref().unwrap_or("none");
    let major = image.postgres_major.map_or_else(|| "?".to_owned(), |major| major.to_string());
    format!("{} (PostgreSQL {major}, TimescaleDB {timescaledb})", image.reference)
}

/// Plans a restore, or says everything that is against it.
pub fn plan(backup: &Backup, wish: &Wish, ground: &Ground) -> Result<RestorePlan, Vec<Refusal>> {
    let mut refusals = Vec::new();
    refusals.extend(unsuitable(backup, wish));
    refusals.extend(in_the_way(wish, ground));
    let image = match &wish.destination {
        Destination::Database(_) => {
            refusals.extend(server_unfit(backup, ground));
            None
        }
        Destination::Node(_) | Destination::Cluster(_) => match image(backup, &ground.images) {
            Ok(image) => Some(image.clone()),
            Err(refusal) => {
                refusals.push(refusal);
                None
            }
        },
    };
    if let Some(free) = ground.free_bytes {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let needed = (backup.raw_bytes as f64 * ROOM_FACTOR) as u64;
        if free < needed {
            refusals.push(Refusal::NoRoom { free, needed });
        }
    }
    let timeline = match timeline(backup, &wish.target, &ground.archive) {
        Ok(timeline) => timeline,
        Err(refusal) => {
            refusals.push(refusal);
            backup.timeline
        }
    };
    if refusals.is_empty() {
        Ok(RestorePlan { image, timeline, steps: steps(backup, wish), notes: notes(backup, wish) })
    } else {
        Err(refusals)
    }
}

/// What this kind of backup cannot be used for.
fn unsuitable(backup: &Backup, wish: &Wish) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let is_base = backup.kind == Kind::Base;
    if !is_base && wish.target != Target::Backup {
        refusals.push(Refusal::NotPhysical { kind: backup.kind, target: wish.target.clone() });
    }
    match (&wish.destination, backup.kind) {
        (Destination::Database(_), Kind::Base | Kind::Globals) => {
            refusals.push(Refusal::WholeServer { kind: backup.kind });
        }
        (Destination::Cluster(_) | Destination::Node(_), Kind::Globals) => {
            refusals.push(Refusal::NothingToServe { kind: backup.kind });
        }
        _ => {}
    }
    refusals
}

/// What stands in the way where it is to go.
fn in_the_way(wish: &Wish, ground: &Ground) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let what = wish.destination.to_string();
    let name = wish.destination.name();
    match (&ground.standing, wish.replace.as_deref()) {
        (Standing::Free, _) => {}
        (Standing::Foreign(whose), _) => refusals.push(Refusal::Foreign { what, whose: whose.clone() }),
        (Standing::Ours, None) => refusals.push(Refusal::Exists { what, name: name.to_owned() }),
        (Standing::Ours, Some(typed)) if typed != name => {
            refusals.push(Refusal::OtherName { typed: typed.to_owned(), name: name.to_owned() });
        }
        (Standing::Ours, Some(_)) => {
            if matches!(wish.destination, Destination::Cluster(_)) {
                refusals.push(Refusal::LiveCluster { name: name.to_owned() });
            }
        }
    }
    if let Some(holder) = &ground.port_holder {
        refusals.push(Refusal::PortTaken { holder: holder.clone() });
    }
    refusals
}

fn server_unfit(backup: &Backup, ground: &Ground) -> Option<Refusal> {
    let Some(server) = &ground.server else { return Some(Refusal::NoServer) };
    if server.postgres_major < backup.postgres_major {
        return Some(Refusal::OlderServer { server: server.postgres_major, backup: backup.postgres_major });
    }
    let version = backup.timescaledb.as_ref()?;
    (!server.timescaledb.contains(version)).then(|| Refusal::OtherExtension {
        wanted: version.clone(),
        offered: server.timescaledb.clone(),
        reference: backup.image_reference.clone(),
    })
}

/// The timeline to follow to the target, when the log in the store leads there.
pub fn timeline(backup: &Backup, target: &Target, archive: &Archive) -> Result<u32, Refusal> {
    let Some(end) = backup.end else { return Ok(backup.timeline) };
    if let Target::Backup = target {
        return Ok(backup.timeline);
    }
    let timeline = archive.line(backup.timeline, end)?;
    let reach = archive.reach(timeline, backup.start, end);
    match target {
        Target::Backup | Target::Latest | Target::Name(_) => {
            // A gap would end a recovery that is to go on to the end, silently.
            match (&reach.missing, target) {
                (Some(missing), Target::Latest) => Err(Refusal::Gap { missing: missing.clone(), reach: reach.clone() }),
                _ => Ok(timeline),
            }
        }
        Target::Lsn(lsn) if *lsn < end => Err(Refusal::BeforeBase { target: target.clone(), end: end.to_string() }),
        Target::Time(time) if *time < backup.began => {
            let began = backup.began.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            Err(Refusal::BeforeBase { target: target.clone(), end: began })
        }
        Target::Lsn(lsn) if *lsn < reach.end => Ok(timeline),
        Target::Time(time) if reach.written.is_some_and(|written| *time <= written) => Ok(timeline),
        Target::Lsn(_) | Target::Time(_) => Err(match &reach.missing {
            Some(missing) => Refusal::Gap { missing: missing.clone(), reach: reach.clone() },
            None => Refusal::BeyondArchive { target: target.clone(), from: backup.began, reach: reach.clone() },
        }),
    }
}

fn steps(backup: &Backup, wish: &Wish) -> Vec<String> {
    let mut steps = vec![format!("read {} and check every object's size and hash on the way", backup.id)];
    let replaces = wish.replace.is_some();
    match &wish.destination {
        Destination::Database(name) => {
            steps.push("make a database under a name of its own on the primary and restore into it, jobs off".into());
            steps.push("compare every table, chunk and object with the backup's contents".into());
            steps.push(if replaces {
                format!("end the sessions of database {name}, remove it, and give its name to the new one")
            } else {
                format!("give it the name {name}")
            });
        }
        Destination::Node(_) | Destination::Cluster(_) => {
            steps.push("fill a volume in a container without network, jobs off".into());
            if backup.kind == Kind::Base {
                steps.push(format!("follow the log to {}", wish.target));
            }
            steps.push("compare every table, chunk and object with the backup's contents".into());
            if replaces {
                steps.push(format!("remove what is {} now", wish.destination));
            }
            steps.push(format!("start {} on that volume", wish.destination));
        }
    }
    if wish.enable_jobs {
        steps.push("enable the jobs that were scheduled, retention last, if everything is equal".into());
    }
    steps
}

fn notes(backup: &Backup, wish: &Wish) -> Vec<String> {
    let mut notes = Vec::new();
    if !wish.enable_jobs {
        notes.push(
            "scheduled jobs stay off: a retention policy would drop rows of an old backup within seconds; \
             `--enable-jobs` turns them on again once everything was compared"
                .to_owned(),
        );
    }
    if backup.kind == Kind::Base && !matches!(wish.target, Target::Backup) {
        notes.push(
            "rows at another time than the backup's are not on record, so the comparison is made at the backup's own \
             restore point, before the log is followed further"
                .to_owned(),
        );
    }
    if let Destination::Node(name) = &wish.destination {
        notes.push(format!("{name} is no part of replication; `hypertide destroy` of its cluster removes it too"));
    }
    notes
}
