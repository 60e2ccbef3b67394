//! What happened between one look and the next, as one closed list. The log, the counter and the webhook tell the same events.
//!
//! Pure: in go one status after the other and the time, out come events. What cannot be seen for a while did not happen: a primary that does
//! not answer takes its records with it, and they are no news when it is back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Status;
use super::backups::JobStatus;
use crate::model::cluster::{Health, Role};

/// A hold that is not seen for this long is gone. While steps are taken, looks are shorter and may miss one.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// The cluster's health is another.
    HealthChanged,
    /// A wanted step is not taken, and was before or not wanted.
    HoldAppeared,
    /// What held it is gone.
    HoldWent,
    /// A node is seen to be something else.
    RoleChanged,
    /// A node is fenced: it takes no writes any more.
    NodeFenced,
    /// Another node became the primary.
    PrimaryChanged,
    /// A run of a backup job made a backup.
    BackupSucceeded,
    /// One failed.
    BackupFailed,
    /// Memory ran out in a container, and the kernel ended a process there.
    MemoryRanOut,
}

impl Happening {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::HealthChanged,
        Self::HoldAppeared,
        Self::HoldWent,
        Self::RoleChanged,
        Self::NodeFenced,
        Self::PrimaryChanged,
        Self::BackupSucceeded,
        Self::BackupFailed,
        Self::MemoryRanOut,
    ];

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::HealthChanged => "health_changed",
            Self::HoldAppeared => "hold_appeared",
            Self::HoldWent => "hold_went",
            Self::RoleChanged => "role_changed",
            Self::NodeFenced => "node_fenced",
            Self::PrimaryChanged => "primary_changed",
            Self::BackupSucceeded => "backup_succeeded",
            Self::BackupFailed => "backup_failed",
            Self::MemoryRanOut => "memory_ran_out",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What kind of thing.
    pub event: Happening,
    /// The cluster, node, job or resource it is about.
    pub subject: String,
    /// The reason's stable word, of a hold.
    pub reason: Option<&'static str>,
    /// A sentence for people.
    pub text: String,
    /// Somebody should know.
    #[serde(skip)]
    pub is_warning: bool,
}

/// What was seen so far, to tell what is new.
#[derive(Debug, Default)]
pub struct Story {
    health: Option<Health>,
    holds: BTreeMap<(String, &'static str), Instant>,
    roles: BTreeMap<String, Role>,
    epoch: Option<u64>,
    /// When each job last ran, and how that ended.
    runs: BTreeMap<String, (String, &'static str)>,
}

impl Story {
    /// Takes in a look, and tells what happened since the one before. The first one tells only what is held.
    pub fn goes_on(&mut self, status: &Status, now: Instant) -> Vec<Event> {
        let is_first = self.health.is_none();
        let mut events = self.roles(status);
        events.extend(self.promotions(status));
        events.extend(self.backups(status));
        if is_first {
            events.clear();
        }
        events.extend(self.holds(status, now));
        if let Some(before) = self.health.replace(status.health).filter(|before| *before != status.health) {
            let text = format!("was {before}, is {}", status.health);
            let is_warning = status.health != Health::Healthy;
            events.push(Event::new(Happening::HealthChanged, &status.cluster, text, is_warning));
        }
        events
    }

    fn roles(&mut self, status: &Status) -> Vec<Event> {
        let mut events = Vec::new();
        for node in &status.nodes {
            let name = node.name.as_str();
            let Some(before) = self.roles.insert(name.to_owned(), node.role).filter(|before| *before != node.role)
            else {
                continue;
            };
            let is_warning = matches!(node.role, Role::Fenced | Role::Unknown);
            let text = format!("was {before}, is {}", node.role);
            events.push(Event::new(Happening::RoleChanged, name, text, is_warning));
            if node.role == Role::Fenced {
                let text = "it is fenced and takes no writes".to_owned();
                events.push(Event::new(Happening::NodeFenced, name, text, true));
            }
        }
        events
    }

    /// Those on record that began a later epoch than any before.
    fn promotions(&mut self, status: &Status) -> Vec<Event> {
        let Some(newest) = status.promotions.iter().map(|past| past.epoch).max().max(status.epoch) else {
            return Vec::new();
        };
        let Some(known) = self.epoch.replace(self.epoch.map_or(newest, |epoch| epoch.max(newest))) else {
            return Vec::new();
        };
        let mut new: Vec<_> = status.promotions.iter().filter(|past| past.epoch > known).collect();
        new.sort_by_key(|past| past.epoch);
        let event = |past: &&crate::model::promotion::PastPromotion| {
            let text = format!(
                "{} from {} to {} by {}, epoch {}: {}; no writes for {:.3} s, loss: {}",
                past.kind,
                past.from,
                past.to,
                past.by,
                past.epoch,
                past.why,
                past.write_pause.as_secs_f64(),
                past.loss,
            );
            Event::new(Happening::PrimaryChanged, &past.to, text, past.kind != "switchover")
        };
        new.iter().map(event).collect()
    }

    fn backups(&mut self, status: &Status) -> Vec<Event> {
        status.backups.jobs.iter().filter_map(|job| self.backup(job)).collect()
    }

    fn backup(&mut self, job: &JobStatus) -> Option<Event> {
        let run = (job.last_run.clone()?, job.last_result?);
        let before = self.runs.insert(job.name.clone(), run.clone());
        if before.is_some_and(|before| before == run) {
            return None;
        }
        let (event, is_warning) = match run.1 {
            "succeeded" => (Happening::BackupSucceeded, false),
            "failed" | "interrupted" => (Happening::BackupFailed, true),
            _ => return None,
        };
        Some(Event::new(event, &job.name, format!("the {} run of {} {}", job.kind, run.0, run.1), is_warning))
    }

    fn holds(&mut self, status: &Status, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        for hold in &status.holds {
            let label = hold.reason.label();
            if self.holds.insert((hold.what.clone(), label), now).is_none() {
                let is_warning = !hold.reason.is_passing();
                let event = Event::new(Happening::HoldAppeared, &hold.what, hold.reason.to_string(), is_warning);
                events.push(Event { reason: Some(label), ..event });
            }
        }
        self.holds.retain(|(what, label), seen| {
            let is_there = now.saturating_duration_since(*seen) < GONE_AFTER;
            if !is_there {
                let event = Event::new(Happening::HoldWent, what, "nothing holds it any more".to_owned(), false);
                events.push(Event { reason: Some(label), ..event });
            }
            is_there
        });
        events
    }
}

impl Event {
    /// The engine says that memory ran out in this node's or endpoint's container; no look shows it.
    pub fn memory_ran_out(subject: &str) -> Self {
        let text = "memory ran out in its container, and the kernel ended a process there".to_owned();
        Self::new(Happening::MemoryRanOut, subject, text, true)
    }

    fn new(event: Happening, subject: &str, text: String, is_warning: bool) -> Self {
        Self { event, subject: subject.to_owned(), reason: None, text, is_warning }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::hold::{Hold, Reason};
    use crate::plan::simulate::Event as Mishap;
    use crate::status::backups::Figures;
    use crate::status::tests::{healthy, past_promotion, status};

    /// Each event in a line.
    fn told(events: Vec<Event>) -> Vec<String> {
        events.into_iter().map(|it| format!("{} {}: {}", it.event.word(), it.subject, it.text)).collect()
    }

    fn job(result: &'static str, at: &str) -> JobStatus {
        JobStatus {
            name: "nightly".into(),
            kind: "full",
            store: String::new(),
            last_run: Some(at.to_owned()),
            last_result: Some(result),
            last_success: None,
            last_verified: None,
            next_run: None,
            rpo_seconds: None,
            rpo_bytes: None,
            figures: Figures::default(),
        }
    }

    #[test]
    fn nothing_happens_while_all_stays_as_it_is() {
        let (mut story, now) = (Story::default(), Instant::now());
        let mut status = status(&healthy());
        status.promotions = vec![past_promotion(1)];
        status.backups.jobs = vec![job("succeeded", "a")];
        for _ in 0..3 {
            assert_eq!(told(story.goes_on(&status, now)), [""; 0]);
        }
    }

    #[test]
    fn roles_holds_and_health_are_told_when_they_change() {
        let (mut story, now) = (Story::default(), Instant::now());
        let mut cluster = healthy();
        story.goes_on(&status(&cluster), now);
        Mishap::Pause(2).happen(&mut cluster);
        let paused = [
            "role_changed replica-2: was standby, is unknown",
            "hold_appeared replica-2: does not stream, so logical replicas are not kept from running ahead of it",
            "hold_appeared replica-2: the container is paused",
            "health_changed test: was healthy, is degraded",
        ];
        assert_eq!(told(story.goes_on(&status(&cluster), now)), paused);
        let mut fenced = status(&cluster);
        fenced.nodes[2].role = Role::Fenced;
        let told_then = told(story.goes_on(&fenced, now));
        assert_eq!(told_then[1], "node_fenced replica-2: it is fenced and takes no writes");
    }

    #[test]
    fn a_hold_that_is_missed_by_a_look_is_not_gone() {
        let (mut story, began) = (Story::default(), Instant::now());
        let without = status(&healthy());
        let mut with = without.clone();
        with.holds.push(Hold::new("replica-1", Reason::Copying(12)));
        let first = story.goes_on(&with, began);
        assert_eq!((first.len(), first[0].reason, first[0].is_warning), (1, Some("copying"), false), "also at first");
        assert_eq!(told(story.goes_on(&without, began + GONE_AFTER / 2)), [""; 0]);
        // Eleven of the twelve are left: that is the same hold.
        with.holds[0] = Hold::new("replica-1", Reason::Copying(11));
        let later = began + GONE_AFTER;
        assert_eq!(told(story.goes_on(&with, later)), [""; 0]);
        let gone = told(story.goes_on(&without, later + GONE_AFTER));
        assert_eq!(gone, ["hold_went replica-1: nothing holds it any more"]);
        assert_eq!(told(story.goes_on(&without, later + GONE_AFTER * 2)), [""; 0]);
    }

    #[test]
    fn records_that_come_back_with_the_primary_are_no_news_and_later_ones_are() {
        let (mut story, now) = (Story::default(), Instant::now());
        let mut known = status(&healthy());
        known.promotions = vec![past_promotion(1)];
        known.backups.jobs = vec![job("succeeded", "a")];
        let mut silent = known.clone();
        (silent.promotions, silent.epoch) = (Vec::new(), None);
        (silent.backups.jobs[0].last_run, silent.backups.jobs[0].last_result) = (None, None);
        for status in [&known, &silent, &known] {
            assert_eq!(told(story.goes_on(status, now)), [""; 0]);
        }
        let mut later = known.clone();
        later.promotions.insert(0, past_promotion(2));
        later.backups.jobs[0] = job("running", "b");
        let text = "switchover from primary-1 to replica-1 by operator, epoch 2: asked for; no writes for 0.048 s, loss: nothing";
        assert_eq!(told(story.goes_on(&later, now)), [format!("primary_changed replica-1: {text}")]);
        later.backups.jobs[0] = job("failed", "b");
        let failed = story.goes_on(&later, now);
        assert!(failed[0].is_warning);
        assert_eq!(told(failed), ["backup_failed nightly: the full run of b failed"]);
        later.backups.jobs[0] = job("succeeded", "c");
        assert_eq!(told(story.goes_on(&later, now)), ["backup_succeeded nightly: the full run of c succeeded"]);
    }

    #[test]
    fn each_kind_has_one_word() {
        let words: std::collections::BTreeSet<&str> = Happening::ALL.iter().map(|it| it.word()).collect();
        assert_eq!(words.len(), Happening::ALL.len());
        for kind in Happening::ALL {
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.word());
        }
    }
}
