//! Changes of the primary: what one is made for, what is on record about those that were made, and whether none is to be made now.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who has a standby take the primary's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person, with a verb.
    Operator,
    /// The agent, by itself.
    Agent,
}

impl By {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Agent => "agent",
        }
    }
}

/// What a change of the primary is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// Who makes it.
    pub by: By,
    /// Why, in a stable word or a short sentence.
    pub why: String,
}

impl Occasion {
    /// A person asked for it.
    pub fn asked_for() -> Self {
        Self { by: By::Operator, why: "asked for".to_owned() }
    }
}

/// A change of the primary as it was written down (`hypertide.promotion`). Words are kept as they are: a version to come may have
/// written them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPromotion {
    /// The epoch that began with it.
    pub epoch: u64,
    /// When it was complete, to the second.
    pub at: DateTime<Utc>,
    /// `switchover` or `failover`.
    pub kind: String,
    /// The primary before.
    #[serde(rename(deserialize = "from_node"))]
    pub from: String,
    /// The primary afterwards.
    #[serde(rename(deserialize = "to_node"))]
    pub to: String,
    /// `operator` or `agent`.
    #[serde(rename(deserialize = "by_whom"))]
    pub by: String,
    /// Why.
    pub why: String,
    /// For how long no node took writes.
    #[serde(rename = "write_pause_seconds", with = "seconds")]
    pub write_pause: Duration,
    /// What was done, with the time it took.
    pub phases: Vec<(String, Took)>,
    /// What was lost, in a stable word.
    pub loss: String,
    /// Bytes of log that were lost; `None`: not known.
    pub lost_bytes: Option<u64>,
    /// Transactions that were lost; `None`: not known.
    pub lost_transactions: Option<u64>,
}

/// How often the primary was changed for one cause, as far back as the record goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PromotionCount {
    /// `switchover` or `failover`.
    pub kind: String,
    /// `operator` or `agent`.
    #[serde(rename = "by_whom")]
    pub by: String,
    /// How often.
    pub changes: u64,
}

/// Failover is paused for maintenance (`hypertide.failover_pause`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverPause {
    /// Since when, to the second.
    pub since: DateTime<Utc>,
    /// It ends by itself then; `None`: when somebody ends it.
    pub until: Option<DateTime<Utc>>,
}

/// How long a phase took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took(#[serde(with = "seconds")] pub Duration);

/// Durations as they are written down: in seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_read_and_told() {
        let row = r#"{
            "epoch": 2, "at": "2026-11-21T09:18:16+00:00", "kind": "failover", "from_node": "primary-1",
            "to_node": "replica-1", "by_whom": "operator", "why": "asked for", "write_pause_seconds": 1.25,
            "phases": [["fence", 0.5], ["promote", 1]], "loss": "exactly", "lost_bytes": 64, "lost_transactions": null
        }"#;
        let past: PastPromotion = serde_json::from_str(row).expect("as sql/observe/database.sql tells it");
        assert_eq!(past.write_pause, Duration::from_millis(1250));
        let told = serde_json::to_value(&past).expect("it is JSON");
        let expected = serde_json::json!({
            "epoch": 2, "at": "2026-11-21T09:18:16Z", "kind": "failover", "from": "primary-1", "to": "replica-1",
            "by": "operator", "why": "asked for", "write_pause_seconds": 1.25,
            "phases": [["fence", 0.5], ["promote", 1.0]], "loss": "exactly", "lost_bytes": 64, "lost_transactions": null
        });
        assert_eq!(told, expected);
    }
}
