//! One node on the page: what it is, how it follows, and how complete it is.

use chrono::{DateTime, Utc};

use super::{At, Badge, Tone, counted};
use crate::model::cluster::{Mode, Role};
use crate::model::observed::WalStatus;
use crate::model::readable::size;
use crate::plan::chunks::Completeness;
use crate::status::{NodeStatus, ReplicationStatus, SlotStatus, Status, Verification};

/// A node.
#[derive(Clone, Debug)]
pub struct NodeCard {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Badge,
    /// How its rows come, in a few words.
    pub way: &'static str,
    /// Where it is: address and container.
    pub rows: Vec<Row>,
    /// How many of the primary's chunks it has; none for the primary, and when not known.
    pub chunks: Option<ChunksBar>,
}

/// A name and what is the case.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What is the case.
    pub text: String,
    /// How good that is; none where it is neither.
    pub tone: Option<Tone>,
}

/// How much of the chunk mirror is there.
#[derive(Clone, Debug)]
pub struct ChunksBar {
    /// Chunks that are complete.
    pub complete: usize,
    /// All of the primary's.
    pub all: usize,
    /// In words, with what is missing.
    pub badge: Badge,
}

impl NodeCard {
    pub(super) fn of(node: &NodeStatus, status: &Status, is_old: bool, clock: DateTime<Utc>) -> Self {
        let aged = |badge: Badge| if is_old { badge.was() } else { badge };
        let replication = node.replication.as_ref();
        let mut rows = vec![Row::plain("Address", node.address.clone())];
        if node.state != "running" {
            rows.push(Row {
                name: "Container",
                text: format!("{}: {}", node.container, node.state),
                tone: Some(Tone::Bad),
            });
        }
        if let Some(replication) = replication {
            rows.extend(following(replication, node.role, clock));
        }
        if let Some(promotion) = node.promotion.as_ref().filter(|_| status.primary.is_some() || !node.is_well()) {
            let reasons: Vec<String> = promotion.reasons.iter().map(ToString::to_string).collect();
            let (text, tone) = if promotion.ready {
                ("ready".to_owned(), Tone::Good)
            } else {
                (format!("not now: {}", reasons.join("; ")), Tone::Warn)
            };
            rows.push(Row { name: "Promotion", text, tone: Some(tone) });
        }
        if is_old {
            for row in &mut rows {
                row.tone = row.tone.map(|_| Tone::Unknown);
            }
        }
        let tone = match node.role {
            Role::Unknown => Tone::Unknown,
            Role::Fenced => Tone::Warn,
            _ if node.is_well() => Tone::Good,
            _ => Tone::Warn,
        };
        let chunks = replication.and_then(|replication| replication.chunks).map(ChunksBar::of);
        Self {
            name: node.name.to_string(),
            role: aged(Badge::new(tone, if node.role == Role::Unknown { "role not known" } else { node.role.word() })),
            way: match replication.map(|replication| replication.mode) {
                None => "takes the writes",
                Some(Mode::Logical) => "logical replication",
                Some(Mode::Physical) => "streams the log",
            },
            rows,
            chunks: chunks.map(|bar| ChunksBar { badge: aged(bar.badge), ..bar }),
        }
    }
}

impl Row {
    pub(super) fn plain(name: &'static str, text: String) -> Self {
        Self { name, text, tone: None }
    }
}

fn following(replication: &ReplicationStatus, role: Role, clock: DateTime<Utc>) -> Vec<Row> {
    let lag = match (replication.lag_seconds, replication.lag_bytes) {
        (Some(seconds), Some(bytes)) => (format!("{seconds:.1} s, {}", size(bytes)), None),
        (None, Some(bytes)) => (format!("{}, seconds not known", size(bytes)), None),
        (Some(seconds), None) => (format!("{seconds:.1} s, bytes not known"), None),
        (None, None) => ("not known".to_owned(), Some(Tone::Unknown)),
    };
    let mut rows = vec![Row { name: "Lag", text: lag.0, tone: lag.1 }];
    match (replication.mode, replication.chunks) {
        (Mode::Physical, _) if role == Role::Standby => {
            rows.push(Row { name: "Chunks", text: "all, by construction".to_owned(), tone: Some(Tone::Good) });
        }
        (_, None) => rows.push(Row { name: "Chunks", text: "not known".to_owned(), tone: Some(Tone::Unknown) }),
        (_, Some(_)) => {}
    }
    rows.extend(replication.slot.map(slot));
    let errors = replication.apply_errors.unwrap_or_default() + replication.sync_errors.unwrap_or_default();
    if errors > 0 {
        rows.push(Row {
            name: "Errors",
            text: format!("{errors} since its statistics were reset"),
            tone: Some(Tone::Warn),
        });
    }
    rows.extend(replication.verification.as_ref().map(|verification| compared(verification, clock)));
    rows
}

fn slot(slot: SlotStatus) -> Row {
    let kept = format!("{} kept for it", size(slot.retained_bytes));
    let status = match slot.wal_status {
        None | Some(WalStatus::Reserved) => String::new(),
        Some(status) => format!(", {}", status.word()),
    };
    let active = if slot.active { "" } else { ", nobody streams" };
    let tone = match (slot.wal_status, slot.active) {
        (Some(WalStatus::Lost), _) => Some(Tone::Bad),
        (Some(WalStatus::Unreserved), _) | (_, false) => Some(Tone::Warn),
        _ => None,
    };
    Row { name: "Slot", text: format!("{kept}{status}{active}"), tone }
}

fn compared(verification: &Verification, clock: DateTime<Utc>) -> Row {
    let at = At::parse(verification.last_compare.as_deref(), clock);
    let (text, tone) = match (at, verification.mismatches) {
        (_, 1..) => {
            let names: Vec<String> = verification.differing.iter().map(ToString::to_string).collect();
            (format!("different: {} ({})", counted(verification.mismatches, "table"), names.join(", ")), Tone::Bad)
        }
        (None, 0) => ("not yet".to_owned(), Tone::Unknown),
        (Some(at), 0) => (format!("equal: {}, {}", counted(verification.compared, "table"), at.ago), Tone::Good),
    };
    Row { name: "Compared", text, tone: Some(tone) }
}

impl ChunksBar {
    fn of(chunks: Completeness) -> Self {
        let all = chunks.published + chunks.unpublished;
        let complete = chunks.published.saturating_sub(chunks.unsubscribed + chunks.not_ready);
        let missing: Vec<String> = [
            (chunks.unpublished, "not published"),
            (chunks.unsubscribed, "not subscribed"),
            (chunks.not_ready, "being copied"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        let badge = if chunks.is_complete() {
            Badge::new(Tone::Good, format!("all {all} chunks are here"))
        } else {
            Badge::new(Tone::Warn, format!("{complete} of {all} chunks are here: {}", missing.join(", ")))
        };
        Self { complete, all, badge }
    }
}
