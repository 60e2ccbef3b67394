//! The key `replication`: the default mode, the publication, and whether commits wait for replicas.
//!
//! In goes the file, out comes what the other keys need of it. Which schemas exist is not known here.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::claim::{Claim, refuse_twice};
use crate::config::formats;
use crate::config::problem::Problems;
use crate::config::raw::Node;
use crate::config::read::{Entry, Fields};
use crate::model::cluster::Mode;
use crate::model::desired::{PublicationChoice, Synchronous, VerifySchedule, WhenLost};
use crate::model::names::Ident;

/// The words for a mode.
pub const MODES: [(&str, Mode); 2] = [(Mode::Logical.word(), Mode::Logical), (Mode::Physical.word(), Mode::Physical)];

const SYNCHRONOUS: [(&str, Synchronous); 3] =
    [("off", Synchronous::Off), ("on", Synchronous::On), ("quorum", Synchronous::Quorum)];

const WHEN_LOST: [(&str, WhenLost); 2] = [("wait", WhenLost::Wait), ("continue", WhenLost::Continue)];

/// Who asks for a second copy of each commit is not given less without having said so.
const STRICT: WhenLost = WhenLost::Wait;

const PUBLICATION: &str = "trading_data_pub";

/// A tenth of what one core hashes: an ingest does not notice it, and a billion rows are through in six hours once.
const EVERY_HOUR: VerifySchedule = VerifySchedule { every: Duration::from_hours(1), rows_per_second: 50_000 };

/// With fewer rows a second, no verification of anything worth comparing would ever end.
const LEAST_PACE: RangeInclusive<i128> = 100..=1_000_000_000;

/// What `replication` says.
pub struct Replication {
    /// The mode of replicas that name none.
    pub mode: Mode,
    /// What logical replicas subscribe to.
    pub publication: PublicationChoice,
    /// Which commits wait for replicas.
    pub synchronous: Synchronous,
    /// What becomes of them when no replica is left.
    pub when_lost: WhenLost,
    /// How the agent compares logical replicas with the primary.
    pub verify: Option<VerifySchedule>,
}

/// Reads `replication`.
pub fn resolve(file: &Fields<'_>, problems: &mut Problems) -> Replication {
    let keys = file.within("replication", &["mode", "publication", "synchronous", "verify"], problems);
    let publication = keys.within("publication", &["name", "schemas"], problems);
    let (synchronous, when_lost) =
        keys.get("synchronous").map_or((Synchronous::Off, STRICT), |entry| synchronous(entry, problems));
    Replication {
        mode: keys.get("mode").and_then(|entry| entry.choice(&MODES, problems)).unwrap_or(Mode::Logical),
        publication: PublicationChoice {
            name: publication
                .get("name")
                .and_then(|entry| entry.checked("a name", Ident::new, problems))
                .unwrap_or_else(|| Ident::new(PUBLICATION).expect("the default is valid")),
            schemas: publication.get("schemas").map(|entry| schemas(entry, problems)),
        },
        synchronous,
        when_lost,
        verify: match keys.get("verify") {
            Some(entry) => verify(entry, problems),
            None => Some(EVERY_HOUR),
        },
    }
}

/// A word, or a map of that word and of what happens when the replica is lost.
fn synchronous(entry: &Entry<'_>, problems: &mut Problems) -> (Synchronous, WhenLost) {
    let Node::Map(_) = entry.node else {
        return (entry.choice(&SYNCHRONOUS, problems).unwrap_or(Synchronous::Off), STRICT);
    };
    let Some(keys) = entry.fields(&["mode", "when_lost"], problems) else { return (Synchronous::Off, STRICT) };
    let mode = keys.need("mode", problems).and_then(|entry| entry.choice(&SYNCHRONOUS, problems));
    let when_lost = keys.get("when_lost").and_then(|entry| entry.choice(&WHEN_LOST, problems));
    (mode.unwrap_or(Synchronous::Off), when_lost.unwrap_or(STRICT))
}

/// `off`, or how often and how fast.
fn verify(entry: &Entry<'_>, problems: &mut Problems) -> Option<VerifySchedule> {
    match entry.node {
        Node::Text(_) | Node::Bool(_) => {
            entry.choice(&[("off", None), ("on", Some(()))], problems)?.map(|()| EVERY_HOUR)
        }
        Node::Map(_) => {
            let keys = entry.fields(&["every", "rows_per_second"], problems)?;
            let every = keys.get("every").and_then(|entry| entry.checked("a time", formats::pause, problems));
            let rows = keys.get("rows_per_second").and_then(|entry| entry.number(&LEAST_PACE, problems));
            Some(VerifySchedule {
                every: every.unwrap_or(EVERY_HOUR.every),
                rows_per_second: rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(EVERY_HOUR.rows_per_second),
            })
        }
        _ => {
            entry.expected(problems, "`off` or a map of every and rows_per_second");
            None
        }
    }
}

fn schemas(entry: &Entry<'_>, problems: &mut Problems) -> Vec<Ident> {
    let Some(items) = entry.list("schemas", problems) else {
        return Vec::new();
    };
    if items.is_empty() {
        entry.refuse_and_help(
            problems,
            "an empty publication replicates nothing",
            Some("leave the key out to publish what the packs publish".to_owned()),
        );
    }
    let mut claims = Vec::new();
    for item in items {
        if let Some(schema) = item.checked("a schema", publishable, problems) {
            claims.push(Claim::of(&item, schema));
        }
    }
    refuse_twice(&claims, problems);
    claims.into_iter().map(|claim| claim.value).collect()
}

/// A schema whose rows may appear on another node as they are.
pub fn publishable(text: &str) -> Result<Ident, String> {
    let ident = Ident::new(text).map_err(|error| error.to_string())?;
    if text.starts_with("pg_") || text == "information_schema" || text.starts_with("_timescaledb") {
        Err(format!(
            "`{text}` holds catalog rows, which must never replicate: each node's catalog describes that node alone"
        ))
    } else if text == "hypertide" {
        Err(format!("`{text}` holds what each node knows of itself, which must never replicate"))
    } else {
        Ok(ident)
    }
}
