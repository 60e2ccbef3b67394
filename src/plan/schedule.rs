//! Whether a backup job is due, from its schedule and what is on record about its runs.
//!
//! In: when it is to run, what it did so far, and the time. Out: to run now and for which time, or until when to wait and why.
//! Reads no clock. As long as what it says is put on record, no time is run for twice.
//!
//! A time that comes while the job still runs is left out, or waits for its end where the job wants that. Of times that passed while nobody was there, the last is made up for
//! when the job wants that. A run that failed is tried again until the next time comes, which then goes first.

pub mod calendar;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::backup::{Overlap, Timing};
use calendar::{Calendar, CalendarError};

/// What is found due later than this was missed: the agent looks every few seconds, so it was not there, or had no database.
const ON_TIME: TimeDelta = TimeDelta::minutes(5);

/// A pause before another attempt is never doubled beyond this.
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);

/// A job's schedule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Schedule {
    calendar: Calendar,
    jitter: Duration,
    catch_up: bool,
    overlap: Overlap,
    /// Of the job's name, so that jobs of one time begin apart.
    seed: u64,
    retries: u32,
    backoff: Duration,
}

/// What is on record about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Since when the job is known; what was due before is nobody's business.
    pub known_since: DateTime<Utc>,
    /// Its last attempt for a time of its schedule; runs by hand do not count.
    pub last: Option<Attempt>,
}

/// One attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The time it was for.
    pub occurrence: DateTime<Utc>,
    /// 0 for the first attempt for that time.
    pub number: u32,
    /// When it began.
    pub began: DateTime<Utc>,
    /// How it ended.
    pub end: End,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It runs, or whoever ran it was ended in the middle.
    Open,
    /// It succeeded.
    Succeeded(DateTime<Utc>),
    /// It failed.
    Failed(DateTime<Utc>),
}

/// Up to where times were run for, left out, or were before the job's own.
#[derive(Clone, Copy)]
struct Settled {
    /// Times up to this one.
    occurrence: DateTime<Utc>,
    /// And those that had come, jitter included, up to here.
    moment: Option<DateTime<Utc>>,
}

impl Settled {
    fn leaves(self, occurrence: DateTime<Utc>, moment: DateTime<Utc>) -> bool {
        occurrence > self.occurrence && self.moment.is_none_or(|settled| moment > settled)
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Run.
    Run {
        /// For this time.
        occurrence: DateTime<Utc>,
        /// The attempt's number, from 0.
        attempt: u32,
        /// What brings it about.
        why: Why,
    },
    /// Nothing until then.
    Wait {
        /// When to look again at the latest; `None`: it never falls due again.
        until: Option<DateTime<Utc>>,
        /// A time that is left out because the job still runs.
        left_out: Option<DateTime<Utc>>,
    },
}

/// Why a job runs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is time.
    Due,
    /// The time passed while nobody was there.
    CatchUp,
    /// The attempt before failed.
    Retry,
}

impl Why {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::CatchUp => "catch_up",
            Self::Retry => "retry",
        }
    }
}

impl Schedule {
    /// The schedule of the job of this name.
    pub fn new(job: &str, timing: &Timing, retries: u32, backoff: Duration) -> Result<Self, CalendarError> {
        Ok(Self {
            calendar: Calendar::new(&timing.cron, calendar::zone(&timing.zone)?)?,
            jitter: timing.jitter,
            catch_up: timing.catch_up,
            overlap: timing.overlap,
            seed: hash(job.bytes()),
            retries,
            backoff,
        })
    }

    /// What to do now. `is_running` tells whether a run of the job is under way, by schedule or by hand.
    pub fn decide(&self, history: &History, is_running: bool, now: DateTime<Utc>) -> Verdict {
        let settled = self.settled(history, now);
        let due = self.last_due(now).filter(|due| settled.leaves(*due, self.moment(*due)));
        if is_running {
            // The one under way is for the last time on record; one by hand is for none.
            let left_out = due.filter(|_| self.overlap == Overlap::Skip);
            return Verdict::Wait { until: self.next_after(now, settled), left_out };
        }
        if let Some(occurrence) = due {
            let is_missed = now - self.moment(occurrence) > ON_TIME;
            if !is_missed || self.catch_up {
                let why = if is_missed { Why::CatchUp } else { Why::Due };
                return Verdict::Run { occurrence, attempt: 0, why };
            }
        }
        let retry =
            history.last.filter(|last| last.occurrence <= now).and_then(|last| Some((last, self.retry_at(&last)?)));
        let next = self.next_after(now, settled);
        match retry {
            Some((last, at)) if at <= now => {
                Verdict::Run { occurrence: last.occurrence, attempt: last.number + 1, why: Why::Retry }
            }
            Some((_, at)) => Verdict::Wait { until: Some(next.map_or(at, |next| next.min(at))), left_out: None },
            None => Verdict::Wait { until: next, left_out: None },
        }
    }

    /// When the job runs next by its schedule, retries included; `None` when never again.
    pub fn next(&self, history: &History, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.decide(history, false, now) {
            Verdict::Run { .. } => Some(now),
            Verdict::Wait { until, .. } => until,
        }
    }

    /// The job had two chances and has no success since the first of them.
    pub fn is_overdue(
        &self,
        known_since: DateTime<Utc>,
        last_success: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> bool {
        let before = |moment: DateTime<Utc>| self.calendar.up_to(moment - TimeDelta::seconds(1));
        let last = self.last_due(now);
        last.and_then(before)
            .is_some_and(|second_last| last_success.unwrap_or(known_since).max(known_since) < second_last)
    }

    /// What is over and done with.
    fn settled(&self, history: &History, now: DateTime<Utc>) -> Settled {
        let settled = match history.last {
            None => Settled { occurrence: history.known_since, moment: None },
            // What came while it ran is left out.
            Some(Attempt { occurrence, end: End::Succeeded(ended) | End::Failed(ended), .. }) => {
                let moment = (self.overlap == Overlap::Skip).then_some(ended);
                Settled { occurrence, moment }
            }
            Some(Attempt { occurrence, end: End::Open, .. }) => Settled { occurrence, moment: None },
        };
        // A clock that was set back must not stop the job for as long as it was ahead.
        let is_ahead = self.calendar.after(now).is_some_and(|next| settled.occurrence > next);
        if is_ahead { Settled { occurrence: now, moment: None } } else { settled }
    }

    /// The last time whose moment, jitter included, has come.
    fn last_due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.calendar.up_to(now)?;
        if self.moment(last) <= now { Some(last) } else { self.calendar.up_to(last - TimeDelta::seconds(1)) }
    }

    /// The first moment after `now` at which a time falls due, jitter included.
    fn next_after(&self, now: DateTime<Utc>, settled: Settled) -> Option<DateTime<Utc>> {
        let pending = self.calendar.up_to(now).filter(|last| self.moment(*last) > now && *last > settled.occurrence);
        pending.or_else(|| self.calendar.after(now.max(settled.occurrence))).map(|next| self.moment(next))
    }

    /// When a time's run begins: a share of the jitter later, always the same one, and before the next time.
    fn moment(&self, occurrence: DateTime<Utc>) -> DateTime<Utc> {
        let room =
            self.calendar.after(occurrence).map_or(TimeDelta::zero(), |next| next - occurrence - TimeDelta::seconds(1));
        let most = u64::try_from(room.num_seconds()).unwrap_or_default().min(self.jitter.as_secs());
        let share = hash(occurrence.timestamp().to_be_bytes().into_iter().chain(self.seed.to_be_bytes())) % (most + 1);
        occurrence + TimeDelta::seconds(i64::try_from(share).unwrap_or_default())
    }

    /// When an attempt is to be tried again; `None` when it is not. One that was cut off gets another chance in any case.
    fn retry_at(&self, last: &Attempt) -> Option<DateTime<Utc>> {
        let (ended, retries) = match last.end {
            End::Succeeded(_) => return None,
            End::Failed(ended) => (ended, self.retries),
            End::Open => (last.began, self.retries.max(1)),
        };
        let pause = TimeDelta::from_std(self.pause(last.number)).ok()?;
        (last.number < retries).then_some(ended + pause)
    }

    /// Before the attempt after this one.
    fn pause(&self, number: u32) -> Duration {
        let longest = LONGEST_BACKOFF.max(self.backoff);
        2_u32.checked_pow(number).and_then(|times| self.backoff.checked_mul(times)).unwrap_or(longest).min(longest)
    }
}

/// FNV-1a with a last mix, so that also the low bits of near values differ (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let folded = bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests;
