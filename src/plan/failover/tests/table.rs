//! The decision table, for a person to review: what befalls the primary, what replica there is, what is decided.

use std::fmt::Write;

use super::*;
use crate::plan::failover::outage::CRASH_LOOP_ATTEMPTS;
use crate::plan::readiness::Ineligible;

const PREFERENCES: [(&str, Prefer); 3] =
    [("auto", Prefer::Auto), ("restart", Prefer::Restart), ("promote", Prefer::Promote)];

/// Longer than any patience.
const LONG: Duration = Duration::from_hours(1);

/// The replica there is, and whether the primary's log was read.
fn replicas() -> Vec<(&'static str, Vec<Member>, bool)> {
    let incomplete = Member { objections: Seen::Present(vec![Ineligible::NotCopied(2)]), ..subscriber(0) };
    // As it is in fact: nobody can tell without the primary.
    let unproven = Member { objections: Seen::Present(vec![Ineligible::PrimaryUnknown]), ..subscriber(0) };
    let synchronous = replica(Role::Subscriber, SynchronousState::Sync, 0);
    vec![
        ("none", Vec::new(), false),
        ("synchronous standby", vec![synchronous_standby()], false),
        ("synchronous subscriber", vec![synchronous], false),
        ("standby", vec![standby(0)], false),
        ("standby, log read", vec![standby(0)], true),
        ("subscriber", vec![subscriber(0)], false),
        ("subscriber, log read", vec![subscriber(0)], true),
        ("incomplete subscriber", vec![incomplete], false),
        ("subscriber, to be asked", vec![unproven.clone()], false),
        ("the same with a standby", vec![unproven, standby(0)], true),
    ]
}

fn told(decision: &Decision, situation: &Situation) -> String {
    let mut line = decision.label().to_owned();
    let condition = situation.primary().map(|name| situation.diagnosis(&situation.members[name]).condition.label());
    // The condition stands above the line.
    if condition.ok() != Some(decision.reason()) {
        write!(line, " ({})", decision.reason()).expect("a string");
    }
    match decision {
        Decision::Wait { until, .. } => {
            write!(line, " {} s", until.saturating_sub(situation.now).as_secs()).expect("a string");
        }
        Decision::Promote { loss, .. } => write!(line, " {}", loss.label()).expect("a string"),
        Decision::AskOperator { why, .. } => {
            for veto in why.vetoes() {
                write!(line, " {}", veto.label()).expect("a string");
            }
        }
        Decision::Stay { .. } | Decision::RestartInPlace { .. } | Decision::PromoteIfComplete { .. } => {}
    }
    line
}

/// One line where all preferences decide alike, else one for each.
fn by_preference(table: &mut String, what: &str, policy: &Policy, situation: &Situation) {
    let decided =
        PREFERENCES.map(|(word, prefer)| (word, told(&decide(&Policy { prefer, ..*policy }, situation), situation)));
    if decided.iter().all(|(_, line)| *line == decided[0].1) {
        writeln!(table, "  {what:<24} any      {}", decided[0].1).expect("a string");
        return;
    }
    for (word, line) in decided {
        writeln!(table, "  {what:<24} {word:<8} {line}").expect("a string");
    }
}

/// The lines for one condition, one replica after the other.
fn lines(policy: &Policy, condition: &Condition, with: impl Fn(&mut Situation)) -> String {
    let mut lines = String::new();
    for (what, replicas, is_read) in replicas() {
        let mut situation = struck(condition, replicas, LONG);
        if is_read {
            if !loss::is_at_rest(&situation.members[&node_name("primary-1")].health) {
                continue;
            }
            read_tail(&mut situation, 500, None);
        }
        with(&mut situation);
        by_preference(&mut lines, what, policy, &situation);
    }
    lines
}

#[test]
fn the_decision_table() {
    let mut blocks: Vec<(Vec<&str>, String)> = Vec::new();
    for condition in conditions() {
        let lines = lines(&POLICY, &condition, |_| {});
        match blocks.iter_mut().find(|(_, known)| *known == lines) {
            Some((labels, _)) => labels.push(condition.label()),
            None => blocks.push((vec![condition.label()], lines)),
        }
    }
    let mut table = String::from("What befell the primary, an hour ago; no loss is agreed to\n");
    for (labels, lines) in blocks {
        write!(table, "\n{}\n{lines}", labels.join(", ")).expect("a string");
    }
    let crashed = Condition::Ended(Some(EndedBy::Itself));
    let loops = |situation: &mut Situation| situation.failed_restarts = vec![situation.now; CRASH_LOOP_ATTEMPTS];
    let could_not = |situation: &mut Situation| {
        loops(situation);
        situation.unproven = [(node_name("replica-1"), "its log ends early".to_owned())].into();
    };
    let is_soon = |situation: &mut Situation| {
        let node = &mut situation.members.get_mut(&node_name("primary-1")).expect("there").health;
        node.redo = node.written.seen.clone();
    };
    let lenient = Policy { max_loss_bytes: 1_000, ..POLICY };
    let manual = Policy { automatic: false, ..POLICY };
    let paused = Policy { is_paused: true, ..POLICY };
    for (title, lines) in [
        ("crashed, and restarts failed", lines(&POLICY, &crashed, loops)),
        ("crashed, restarts failed, 1000 bytes agreed to", lines(&lenient, &crashed, loops)),
        ("crashed, restarts failed, and so did asking", lines(&POLICY, &crashed, could_not)),
        ("removed, and restarts failed", lines(&POLICY, &Condition::Removed, loops)),
        ("volume_gone, 1000 bytes agreed to", lines(&lenient, &Condition::VolumeGone, |_| {})),
        ("crashed, not automatic", lines(&manual, &crashed, |_| {})),
        ("crashed, failover paused", lines(&paused, &crashed, |_| {})),
        ("crashed right after a checkpoint", lines(&POLICY, &crashed, is_soon)),
    ] {
        write!(table, "\n{title}\n{lines}").expect("a string");
    }
    insta::assert_snapshot!("by_condition", table);
}

/// What is done at first, and until when at most.
#[test]
fn the_table_of_patience() {
    let mut table = String::from("What befell the primary just now; there is a standby\n\n");
    for condition in conditions() {
        let situation = struck(&condition, vec![standby(0)], Duration::ZERO);
        by_preference(&mut table, condition.label(), &POLICY, &situation);
    }
    table.push_str("\nEleven seconds later\n\n");
    for condition in conditions() {
        let situation = struck(&condition, vec![standby(0)], Duration::from_secs(11));
        by_preference(&mut table, condition.label(), &POLICY, &situation);
    }
    insta::assert_snapshot!("patience", table);
}

/// What keeps a promotion from being decided although a synchronous replica would lose nothing by it.
#[test]
fn the_table_of_vetoes() {
    type With = fn(&mut Situation);
    fn health<'a>(situation: &'a mut Situation, name: &str) -> &'a mut NodeHealth {
        &mut situation.members.get_mut(&node_name(name)).expect("there").health
    }
    let cases: [(&str, With); 15] = [
        ("nothing", |_| {}),
        ("engine silent", |it| it.engine = Aged::new(Seen::unknown("refused"), STRUCK)),
        ("another writer", |it| health(it, "replica-2").takes_writes = Seen::Present(true)),
        ("perhaps another writer", |it| health(it, "replica-2").takes_writes = Seen::unknown("why")),
        ("epoch of the primary unknown", |it| health(it, "primary-1").epoch = Seen::unknown("why")),
        ("epoch of the replica unknown", |it| health(it, "replica-1").epoch = Seen::unknown("why")),
        ("epoch of another unknown", |it| health(it, "replica-2").epoch = Seen::unknown("why")),
        ("another is of a newer epoch", |it| health(it, "replica-2").epoch = Seen::Present(4)),
        ("the replica is of an older", |it| health(it, "replica-1").epoch = Seen::Present(2)),
        ("the replica is fenced", |it| health(it, "replica-1").fence_mark = Seen::Present(())),
        ("the replica does not answer", |it| health(it, "replica-1").server = Aged::present(Probe::TimesOut, STRUCK)),
        ("another timeline", |it| health(it, "replica-1").timeline = Seen::Present(2)),
        ("position unknown", |it| {
            health(it, "replica-1").received = Seen::unknown("why");
            health(it, "replica-1").replayed = Seen::unknown("why");
        }),
        ("role unknown", |it| health(it, "replica-1").role = Seen::unknown("why")),
        ("priority 0", |it| it.members.get_mut(&node_name("replica-1")).expect("there").priority = 0),
    ];
    let mut table =
        String::from("The primary's volume is gone; replica-1 is synchronous, replica-2 is a lagging subscriber\n\n");
    for (what, with) in cases {
        let mut situation = struck(&Condition::VolumeGone, vec![synchronous_standby(), subscriber(5_000)], LONG);
        with(&mut situation);
        let decision = decide(&POLICY, &situation);
        writeln!(table, "{what:<30} {}", told(&decision, &situation)).expect("a string");
    }
    table.push_str("\nIn words\n\n");
    for condition in [Condition::VolumeGone, Condition::DiskFull, Condition::Frozen, Condition::EngineSilent] {
        let decision = decide(&POLICY, &struck(&condition, vec![standby(5_000)], LONG));
        writeln!(table, "{decision}").expect("a string");
        if let Decision::AskOperator { ways, .. } = &decision {
            for way in ways {
                writeln!(table, "  {way}").expect("a string");
            }
        }
    }
    insta::assert_snapshot!("vetoes", table);
}
