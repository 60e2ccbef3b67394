//! The order of phases.

use std::collections::HashSet;

use super::*;
use crate::model::lsn::Lsn;
use crate::plan::simulate::world::node_name;

const KINDS: [(Kind, Mode); 4] = [
    (Kind::Switchover, Mode::Physical),
    (Kind::Switchover, Mode::Logical),
    (Kind::Failover, Mode::Physical),
    (Kind::Failover, Mode::Logical),
];

fn phases(kind: Kind, mode: Mode, has_salvage: bool) -> Vec<Phase> {
    let (from, to) = (node_name("old"), node_name("new"));
    let salvage = has_salvage.then(|| Salvage { from: from.clone(), start: Lsn(1), end: Lsn(2) });
    Promotion { kind, mode, from, to, epoch: 4, salvage }.phases().collect()
}

/// The phases of each kind, for review.
#[test]
fn the_order_of_phases() {
    let lines = KINDS.map(|(kind, mode)| {
        let labels: Vec<&str> = phases(kind, mode, true).into_iter().map(Phase::label).collect();
        format!("{kind:?}, {mode}\n  {}\n", labels.join("\n  "))
    });
    insta::assert_snapshot!("order", lines.join("\n"));
}

/// What makes the order safe, said once more.
#[test]
fn nobody_writes_before_the_old_primary_is_fenced_and_no_client_comes_before_the_new_epoch() {
    for (kind, mode) in KINDS {
        let phases = phases(kind, mode, true);
        assert_eq!(phases.iter().collect::<HashSet<_>>().len(), phases.len(), "each once");
        let at = |phase| phases.iter().position(|one| *one == phase);
        let fence = if kind == Kind::Switchover { Phase::FenceWrites } else { Phase::Fence };
        assert!(at(fence).is_some() && at(Phase::Promote).is_some());
        let order = [
            Phase::Checkpoint,
            Phase::PauseEndpoint,
            fence,
            Phase::Drain,
            Phase::SalvageTail,
            Phase::AwaitMirror,
            Phase::AdvanceSequences,
            Phase::KeepChanges,
            Phase::Promote,
            Phase::RaiseEpoch,
            Phase::RepointEndpoint,
            Phase::ResumeEndpoint,
        ];
        let positions: Vec<_> = order.iter().filter_map(|phase| at(*phase)).collect();
        assert!(positions.is_sorted(), "{kind:?} {mode}: {phases:?}");
        assert!(
            at(Phase::Publish) < at(Phase::KeepChanges) || mode == Mode::Physical,
            "a slot needs what it publishes"
        );
    }
}

#[test]
fn nothing_is_salvaged_where_nothing_is_lacking() {
    assert!(!phases(Kind::Failover, Mode::Physical, false).contains(&Phase::SalvageTail));
}
