//! Whether the next base backup is whole, or what changed since an earlier one, and since which.
//!
//! In: the manifests in the store, how many incremental ones a whole one may carry, and the server. Out: a choice with its
//! reason. Pure.

use std::collections::BTreeMap;
use std::fmt;

use crate::backup::manifest::{Manifest, Part};
use crate::model::backup::{BackupId, Kind};
use crate::model::lsn::Lsn;

/// What matters of the server that is to be backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `pg_control_system().system_identifier`.
    pub system_identifier: String,
    /// Its timeline.
    pub timeline: u32,
    /// It keeps summaries of its log, from here on without a hole; `None`: it has none.
    pub summarized_from: Option<Lsn>,
}

/// What is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Everything.
    Whole(Why),
    /// What changed since this one.
    Upon(BackupId),
}

/// Why a backup is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No incremental ones are wanted.
    NotWanted,
    /// There is none yet that it could build upon.
    First,
    /// The newest whole one carries as many as it may.
    Full {
        /// How many.
        incrementals: u32,
    },
    /// The newest one is of another server.
    OtherServer(BackupId),
    /// The newest one is on another timeline.
    OtherTimeline(BackupId),
    /// One that the newest one builds upon is gone.
    Gone(BackupId),
    /// The newest one lacks PostgreSQL's manifest.
    NoManifest(BackupId),
    /// The newest one's manifest is encrypted, and there is no key here.
    NoKey(BackupId),
    /// The server has no summary of the log since the newest one.
    NotSummarized(BackupId),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWanted => f.write_str("every backup of this job is whole"),
            Self::First => f.write_str("there is none to build upon"),
            Self::Full { incrementals } => write!(f, "the last whole one carries {incrementals} incremental ones"),
            Self::OtherServer(id) => write!(f, "{id} is of another server"),
            Self::OtherTimeline(id) => write!(f, "{id} is on another timeline"),
            Self::Gone(id) => write!(f, "{id}, which others build upon, is not in the store"),
            Self::NoManifest(id) => write!(f, "{id} lacks PostgreSQL's own manifest"),
            Self::NoKey(id) => write!(f, "{id} is encrypted, and the job names no `identity` to read it with"),
            Self::NotSummarized(id) => write!(f, "the server has no summary of the log since {id}"),
        }
    }
}

/// Chooses for a job. `manifests` are those of complete backups, in any order; `has_key` tells that encrypted ones can be read.
pub fn choose(manifests: &[Manifest], job: Option<&str>, incrementals: u32, server: &Server, has_key: bool) -> Choice {
    if incrementals == 0 {
        return Choice::Whole(Why::NotWanted);
    }
    let bases: BTreeMap<&BackupId, &Manifest> = manifests
        .iter()
        .filter(|manifest| manifest.kind == Kind::Base)
        .map(|manifest| (&manifest.id, manifest))
        .collect();
    let Some(newest) = bases.values().rfind(|manifest| manifest.job.as_deref() == job) else {
        return Choice::Whole(Why::First);
    };
    let id = newest.id.clone();
    if newest.source.system_identifier != server.system_identifier {
        return Choice::Whole(Why::OtherServer(id));
    }
    if newest.position.timeline != server.timeline {
        return Choice::Whole(Why::OtherTimeline(id));
    }
    let depth = match depth(&bases, newest) {
        Ok(depth) => depth,
        Err(gone) => return Choice::Whole(Why::Gone(gone)),
    };
    if depth >= incrementals {
        return Choice::Whole(Why::Full { incrementals });
    }
    let Some(object) = newest.object(Part::BaseManifest) else { return Choice::Whole(Why::NoManifest(id)) };
    if object.is_encrypted && !has_key {
        return Choice::Whole(Why::NoKey(id));
    }
    let begins = newest.position.lsn.parse::<Lsn>().ok();
    match (begins, server.summarized_from) {
        (Some(begins), Some(from)) if from <= begins => Choice::Upon(id),
        _ => Choice::Whole(Why::NotSummarized(id)),
    }
}

/// How many incremental backups lead to this one; the one that is missing on the way.
fn depth(bases: &BTreeMap<&BackupId, &Manifest>, of: &Manifest) -> Result<u32, BackupId> {
    let (mut depth, mut at) = (0, of);
    while let Some(parent) = &at.parent {
        // A parent began before its child, so names only get smaller and the way ends.
        let Some(next) = bases.get(parent).filter(|_| *parent < at.id) else { return Err(parent.clone()) };
        at = next;
        depth += 1;
    }
    Ok(depth)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::backup::manifest::{FORMAT, ObjectRecord, Position, SourceFacts, Totals};

    fn id(second: i64) -> BackupId {
        BackupId::new(DateTime::from_timestamp(1_795_000_000 + second, 0).expect("in range"), Kind::Base, 0)
    }

    fn base(second: i64, parent: Option<i64>) -> Manifest {
        let began = id(second).began();
        Manifest {
            format: FORMAT,
            id: id(second),
            scope: "trading".parse().expect("valid"),
            kind: Kind::Base,
            job: Some("nightly".into()),
            database: "trading_data".into(),
            source: SourceFacts {
                node: None,
                role: "primary".into(),
                system_identifier: "7".into(),
                postgres: "17.6".into(),
                postgres_major: 17,
                timescaledb: None,
                edition: None,
                preload: String::new(),
                image: None,
                image_reference: None,
            },
            position: Position {
                timeline: 1,
                lsn: Lsn(u64::try_from(second).expect("positive") << 24).to_string(),
                end_lsn: None,
                restore_point: None,
            },
            began,
            finished: began,
            fingerprint_seconds: 0.0,
            objects: vec![ObjectRecord {
                name: "backup_manifest.zst".into(),
                part: Part::BaseManifest,
                table: None,
                raw_bytes: 1,
                stored_bytes: 1,
                sha256: String::new(),
                is_compressed: true,
                is_encrypted: false,
            }],
            totals: Totals::default(),
            parent: parent.map(id),
            tools: Vec::new(),
        }
    }

    fn server() -> Server {
        Server { system_identifier: "7".into(), timeline: 1, summarized_from: Some(Lsn(0)) }
    }

    fn chosen(manifests: &[Manifest], incrementals: u32) -> Choice {
        choose(manifests, Some("nightly"), incrementals, &server(), true)
    }

    #[test]
    fn a_chain_grows_to_its_length_and_begins_anew() {
        let mut all = Vec::new();
        let mut words = String::new();
        for second in 1..=7 {
            let parent = match chosen(&all, 2) {
                Choice::Whole(_) => None,
                Choice::Upon(parent) => Some(parent.began().timestamp() - 1_795_000_000),
            };
            words.push_str(&parent.map_or("whole ".to_owned(), |parent| format!("{parent} ")));
            all.push(base(second, parent));
        }
        assert_eq!(words, "whole 1 2 whole 4 5 whole ");
    }

    #[test]
    fn each_reason_to_begin_anew_is_named() {
        let whole = |why| Choice::Whole(why);
        let one = || vec![base(1, None)];
        assert_eq!(chosen(&one(), 0), whole(Why::NotWanted));
        assert_eq!(chosen(&[], 2), whole(Why::First));
        assert_eq!(chosen(&[Manifest { job: Some("other".into()), ..base(1, None) }], 2), whole(Why::First));
        assert_eq!(chosen(&[Manifest { kind: Kind::Full, ..base(1, None) }], 2), whole(Why::First));
        assert_eq!(chosen(&[base(3, Some(2)), base(2, Some(1))], 5), whole(Why::Gone(id(1))));
        let mut other = one();
        other[0].source.system_identifier = "8".into();
        assert_eq!(chosen(&other, 2), whole(Why::OtherServer(id(1))));
        let mut other = one();
        other[0].position.timeline = 2;
        assert_eq!(chosen(&other, 2), whole(Why::OtherTimeline(id(1))));
        let mut other = one();
        other[0].objects.clear();
        assert_eq!(chosen(&other, 2), whole(Why::NoManifest(id(1))));
        let mut other = one();
        other[0].objects[0].is_encrypted = true;
        assert_eq!(chosen(&other, 2), Choice::Upon(id(1)));
        assert_eq!(choose(&other, Some("nightly"), 2, &server(), false), whole(Why::NoKey(id(1))));
        for summarized_from in [None, Some(Lsn(2 << 24))] {
            let server = Server { summarized_from, ..server() };
            assert_eq!(choose(&one(), Some("nightly"), 2, &server, true), whole(Why::NotSummarized(id(1))));
        }
    }

    proptest! {
        #[test]
        fn a_parent_has_its_whole_chain_and_room_for_one_more(
            parents in vec(prop_oneof![Just(None), (0_i64..10).prop_map(Some)], 0..10),
            incrementals in 0_u32..5,
        ) {
            let all: Vec<Manifest> = (0_i64..).zip(&parents).map(|(second, parent)| base(second, *parent)).collect();
            if let Choice::Upon(parent) = chosen(&all, incrementals) {
                let mut length = 1;
                let mut at = all.iter().find(|manifest| manifest.id == parent).expect("it exists");
                prop_assert_eq!(&at.id, &all.last().expect("there is one").id);
                while let Some(next) = &at.parent {
                    at = all.iter().find(|manifest| manifest.id == *next).expect("it exists");
                    length += 1;
                }
                prop_assert!(length <= incrementals);
            }
        }
    }
}
