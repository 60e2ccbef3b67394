//! What is on the status page, in words. Pure: from the published look and the time to values that the templates place.
//!
//! What is too old to count is shown, and said to be old at every place where it could be taken for what is. Colour says nothing that a
//! word or a sign does not say too.

mod backups;
mod findings;
mod nodes;
mod outside;
mod promotions;

use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::clock::rfc3339;
use crate::metrics::JobFindings;
use crate::model::cluster::Health;
use crate::model::readable::{self, span};
use crate::plan::hold::Hold;
use crate::status::latest::Latest;
use crate::status::{HypertableStatus, Status};

pub use backups::{JobRow, Mark, Tick, TimeRow};
pub use findings::FindingRow;
pub use nodes::{ChunksBar, NodeCard, Row};
pub use outside::OutsideRow;
pub use promotions::PromotionRow;

/// How many of the last changes of the primary are shown.
const MOST_PROMOTIONS: usize = 5;

/// What is on the page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The document's title.
    pub title: String,
    /// The cluster's name; none before the first look.
    pub cluster: Option<String>,
    /// How it is, in a word.
    pub health: Badge,
    /// The same in a sentence, which changes only when something happened: it is read aloud.
    pub sentence: String,
    /// What is shown is old, or nothing was seen yet, or the last look failed.
    pub warning: Option<Warning>,
    /// The rest; none before the first look.
    pub seen: Option<Seen>,
}

/// What a look saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// It is too old to count.
    pub is_old: bool,
    /// What to know first.
    pub facts: Vec<Fact>,
    /// What is held and needs somebody, the gravest first.
    pub needs: Vec<HoldRow>,
    /// What is held and passes by itself.
    pub passes: Vec<HoldRow>,
    /// The node that takes writes.
    pub primary: Option<NodeCard>,
    /// All others.
    pub replicas: Vec<NodeCard>,
    /// Published hypertables.
    pub hypertables: Vec<HypertableStatus>,
    /// Publications for, and subscriptions to, servers outside.
    pub outside: Vec<OutsideRow>,
    /// The last changes of the primary.
    pub promotions: Vec<PromotionRow>,
    /// What data jobs found; not of this look, but each of its job's last run.
    pub findings: Vec<FindingRow>,
    /// How many more they found.
    pub findings_left_out: u64,
    /// Backup jobs.
    pub jobs: Vec<JobRow>,
    /// The marks of the timelines' common axis.
    pub ticks: Vec<Tick>,
}

/// How good or bad something is. Each has a sign of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Passes by itself.
    Passing,
    /// Somebody should look.
    Warn,
    /// Somebody has to act.
    Bad,
    /// Not known, or not known any more.
    Unknown,
}

/// A word with its tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    /// How good that is.
    pub tone: Tone,
    /// What is the case.
    pub word: String,
}

/// Something old, or missing.
#[derive(Clone, Debug)]
pub struct Warning {
    /// What.
    pub what: String,
    /// Why, as far as it is known.
    pub because: Option<String>,
}

/// A figure with its name.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Its name.
    pub name: &'static str,
    /// The figure.
    pub value: String,
    /// More about it.
    pub more: Option<String>,
}

/// A point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// RFC 3339.
    pub iso: String,
    /// For people, in UTC.
    pub text: String,
    /// How long ago, or how long until then.
    pub ago: String,
}

/// A hold.
#[derive(Clone, Debug)]
pub struct HoldRow {
    /// What it is about.
    pub what: String,
    /// Its stable word.
    pub label: &'static str,
    /// How grave it is.
    pub badge: Badge,
    /// The reason.
    pub text: Vec<Piece>,
    /// What to do next.
    pub help: Option<Vec<Piece>>,
}

/// Part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// It is to be typed, or a name; sentences have that between backticks.
    pub is_code: bool,
    /// The text.
    pub text: String,
}

impl Tone {
    /// The name of its style.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Passing => "passing",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }

    /// Its sign, for those who do not see the colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Passing => "…",
            Self::Warn => "!",
            Self::Bad => "✕",
            Self::Unknown => "?",
        }
    }
}

impl Badge {
    /// A word of this tone.
    pub fn new(tone: Tone, word: impl Into<String>) -> Self {
        Self { tone, word: word.into() }
    }

    /// The same of a look that is too old to count.
    fn was(self) -> Self {
        Self { tone: Tone::Unknown, word: format!("was {}", self.word) }
    }
}

impl At {
    fn new(at: DateTime<Utc>, clock: DateTime<Utc>) -> Self {
        let seconds = (clock - at).num_seconds();
        let ago = match seconds {
            ..=-60 => format!("in {}", span(seconds.unsigned_abs())),
            -59..=-1 => "in less than a minute".to_owned(),
            0..60 => "less than a minute ago".to_owned(),
            _ => format!("{} ago", span(seconds.unsigned_abs())),
        };
        Self {
            iso: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            text: at.format("%Y-%m-%d %H:%M UTC").to_string(),
            ago,
        }
    }

    /// Of a time that the status tells as text.
    fn parse(text: Option<&str>, clock: DateTime<Utc>) -> Option<Self> {
        Some(Self::new(time(text?)?, clock))
    }
}

/// A sentence, taken apart at its backticks; one without a second to it is a character like any other.
fn pieces(text: &str) -> Vec<Piece> {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return vec![Piece { is_code: false, text: text.to_owned() }];
    }
    let piece = |(place, text): (usize, &&str)| Piece { is_code: place % 2 == 1, text: (*text).to_owned() };
    parts.iter().enumerate().map(piece).filter(|piece| !piece.text.is_empty()).collect()
}

/// A count with its noun.
fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", readable::count(count), if count == 1 { "" } else { "s" })
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    text.parse().ok()
}

/// When the agent looked last, by the host's clock.
pub fn looked(latest: &Latest) -> String {
    let clock_of = |text: String| text.get(11..19).map(|time| format!("{time} UTC"));
    latest.look.as_ref().and_then(|look| clock_of(rfc3339(look.at))).unwrap_or_else(|| "never".to_owned())
}

impl Page {
    /// What is to be shown now. `clock` is the same time as `now`.
    pub fn of(latest: &Latest, findings: &JobFindings, now: Instant, clock: DateTime<Utc>) -> Self {
        let Some(look) = &latest.look else {
            let because = latest.failure.clone();
            return Self {
                title: "not known · hypertide".to_owned(),
                cluster: None,
                health: Badge::new(Tone::Unknown, "not known"),
                sentence: "The agent has seen nothing of the cluster yet.".to_owned(),
                warning: because
                    .map(|because| Warning { what: "The last look failed.".into(), because: Some(because) }),
                seen: None,
            };
        };
        let status = &look.status;
        let is_old = latest.fresh(now).is_none();
        let warning = if is_old {
            let age = span(look.age(now).as_secs());
            let what =
                format!("What is shown is {age} old and may no longer be so. Nobody has seen the cluster since.");
            Some(Warning { what, because: latest.failure.clone() })
        } else {
            let failed = |because| Warning { what: "The last look failed.".to_owned(), because: Some(because) };
            latest.failure.clone().map(failed)
        };
        let badge = health(status.health);
        let (health, sentence) = if is_old {
            let sentence = format!("How the cluster is is not known. When it was last seen, at {}, ", looked(latest));
            (Badge::new(Tone::Unknown, "not known"), format!("{sentence}it was {}.", badge.word))
        } else {
            (badge, sentence(status))
        };
        Self {
            title: format!("{} {} · {} · hypertide", health.tone.sign(), health.word, status.cluster),
            cluster: Some(status.cluster.clone()),
            health,
            sentence,
            warning,
            seen: Some(Seen::of(status, findings, is_old, clock)),
        }
    }
}

fn health(health: Health) -> Badge {
    let tone = match health {
        Health::Healthy => Tone::Good,
        Health::Degraded => Tone::Warn,
        Health::Down => Tone::Bad,
    };
    Badge::new(tone, health.word())
}

/// What is the case, and how much is to be done about it.
fn sentence(status: &Status) -> String {
    let passing = status.holds.iter().filter(|hold| hold.reason.is_passing()).count();
    let needs = status.holds.len() - passing;
    let count = |count: usize, singular: &str, plural: &str| match count {
        0 => None,
        1 => Some(format!("1 thing {singular}")),
        count => Some(format!("{count} things {plural}")),
    };
    let counts = [count(needs, "needs you", "need you"), count(passing, "passes by itself", "pass by themselves")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let writes = match status.health {
        Health::Healthy => return "Writes work, every replica is complete, and nothing is held.".to_owned(),
        Health::Degraded => "Writes work",
        Health::Down => "No node takes writes",
    };
    match (counts.as_slice(), status.pending.first()) {
        ([], Some(step)) => format!("{writes}; about to {step}."),
        ([], None) => format!("{writes}; something is being done."),
        (counts, _) => format!("{writes}; {}.", counts.join(", ")),
    }
}

impl Seen {
    fn of(status: &Status, findings: &JobFindings, is_old: bool, clock: DateTime<Utc>) -> Self {
        let (passes, mut needs): (Vec<&Hold>, Vec<&Hold>) =
            status.holds.iter().partition(|hold| hold.reason.is_passing());
        needs.sort_by_key(|hold| !hold.reason.is_refusal());
        let card = |node| NodeCard::of(node, status, is_old, clock);
        let primary = status.nodes.iter().find(|node| status.primary.as_ref() == Some(&node.name));
        let replicas = status.nodes.iter().filter(|node| status.primary.as_ref() != Some(&node.name));
        Self {
            is_old,
            facts: facts(status, clock),
            needs: needs.into_iter().map(HoldRow::of).collect(),
            passes: passes.into_iter().map(HoldRow::of).collect(),
            primary: primary.map(card),
            replicas: replicas.map(card).collect(),
            hypertables: status.hypertables.clone(),
            outside: outside::rows(status, is_old),
            promotions: status.promotions.iter().take(MOST_PROMOTIONS).map(|it| PromotionRow::of(it, clock)).collect(),
            findings: findings::rows(findings, clock),
            findings_left_out: findings.values().map(|found| found.findings.left_out).sum(),
            jobs: status.backups.jobs.iter().map(|job| JobRow::of(job, is_old, clock)).collect(),
            ticks: backups::ticks(),
        }
    }
}

fn facts(status: &Status, clock: DateTime<Utc>) -> Vec<Fact> {
    let nobody = || "nobody answers".to_owned();
    let failover = match (status.failover.paused, status.failover.automatic) {
        (Some(pause), _) => {
            let until = pause.until.map(|until| At::new(until, clock).text);
            Fact { name: "Failover", value: "paused".into(), more: until.map(|until| format!("until {until}")) }
        }
        (None, true) => Fact { name: "Failover", value: "automatic".into(), more: None },
        (None, false) => Fact { name: "Failover", value: "by hand".into(), more: Some("hypertide promote".into()) },
    };
    let backup = |name, at: &Option<String>, never: &str| {
        let at = At::parse(at.as_deref(), clock);
        let (value, more) = at.map_or_else(|| (never.to_owned(), None), |at| (at.ago, Some(at.text)));
        Fact { name, value, more }
    };
    let mut facts = vec![
        Fact { name: "Writes go to", value: status.endpoint.read_write.clone().unwrap_or_else(nobody), more: None },
        Fact { name: "Reads go to", value: status.endpoint.read_only.clone().unwrap_or_else(nobody), more: None },
        failover,
    ];
    if status.backups.jobs.is_empty() {
        facts.push(Fact { name: "Backups", value: "none configured".into(), more: None });
    } else {
        facts.push(backup("Last backup", &status.backups.last_success, "none yet"));
        facts.push(backup("Last restored and compared", &status.backups.last_verified, "never"));
    }
    let (name, more) = ("Epoch", Some("one more with each change of the primary".into()));
    facts.extend(status.epoch.map(|epoch| Fact { name, value: epoch.to_string(), more }));
    facts
}

impl HoldRow {
    fn of(hold: &Hold) -> Self {
        let badge = match (hold.reason.is_refusal(), hold.reason.is_passing()) {
            (true, _) => Badge::new(Tone::Bad, "refused"),
            (_, true) => Badge::new(Tone::Passing, "passes by itself"),
            _ => Badge::new(Tone::Warn, "needs you"),
        };
        Self {
            what: hold.what.clone(),
            label: hold.reason.label(),
            badge,
            text: pieces(&hold.reason.to_string()),
            help: hold.reason.help().map(|help| pieces(&help)),
        }
    }
}
