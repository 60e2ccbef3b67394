//! What an operator is told who asks for a promotion or a switchover.

use super::*;
use crate::plan::failover::request::{Choice, Refusal, promotion, switchover};
use crate::plan::readiness::Ineligible;

fn told(answer: Result<Choice, Refusal>) -> String {
    match answer {
        Ok(choice) => format!("{} to {}", choice.from, choice.to),
        Err(refusal) => {
            let said: Vec<String> = refusal.vetoes.iter().map(|veto| format!("{}: {veto}", veto.label())).collect();
            let flag = refusal.accepted_by().map_or("no flag".to_owned(), |accepted| accepted.to_string());
            format!("{} | {flag}", said.join("; "))
        }
    }
}

fn promote(situation: &Situation, to: &str, accepted: Option<Accepted>) -> String {
    told(promotion(&POLICY, situation, &node_name(to), accepted))
}

#[test]
fn promote_says_what_would_be_lost_and_which_flag_accepts_it() {
    let gone = struck(&Condition::VolumeGone, vec![standby(5_000), synchronous_standby()], LATER);
    let loss = "data_loss: with replica-1, 5000 bytes of log are lost, and what was written in the 400 ms before the primary failed";
    assert_eq!(promote(&gone, "replica-1", None), format!("{loss} | --accept-data-loss 5000"));
    assert_eq!(promote(&gone, "replica-1", Some(Accepted::Bytes(4_999))), format!("{loss} | --accept-data-loss 5000"));
    assert_eq!(promote(&gone, "replica-1", Some(Accepted::Bytes(5_000))), "primary-1 to replica-1");
    assert_eq!(promote(&gone, "replica-2", None), "primary-1 to replica-2");
}

#[test]
fn an_estimate_of_nothing_is_not_nothing() {
    let gone = struck(&Condition::VolumeGone, vec![standby(0)], LATER);
    let refused = promote(&gone, "replica-1", Some(Accepted::Bytes(0)));
    assert!(
        refused.starts_with("data_loss: with replica-1, 0 bytes") && refused.ends_with("--accept-data-loss 1"),
        "{refused}"
    );
    assert_eq!(promote(&gone, "replica-1", Some(Accepted::Bytes(1))), "primary-1 to replica-1");
}

#[test]
fn promote_refuses_what_no_flag_makes_safe() {
    let calm = situation(vec![synchronous_standby()], LATER);
    assert_eq!(
        promote(&calm, "replica-1", Some(Accepted::Any)),
        "primary_lives: the primary lives (its server answers); use `hypertide switchover` | no flag"
    );
    assert_eq!(promote(&calm, "primary-1", None), "is_the_primary: primary-1 is the primary | no flag");
    assert_eq!(promote(&calm, "nobody", None), "no_such_node: there is no node nobody | no flag");
    let silent = struck(&Condition::EngineSilent, vec![synchronous_standby()], LATER);
    let refused = promote(&silent, "replica-1", Some(Accepted::Any));
    assert!(refused.starts_with("cannot_fence: ") && refused.ends_with("| no flag"), "{refused}");
}

#[test]
fn rows_that_are_missing_can_be_given_up_by_name_only() {
    let incomplete = Member { objections: Seen::Present(vec![Ineligible::UnsubscribedChunks(2)]), ..subscriber(0) };
    let gone = struck(&Condition::VolumeGone, vec![incomplete], LATER);
    let refused = promote(&gone, "replica-1", Some(Accepted::Bytes(1_000)));
    assert_eq!(
        refused,
        "ineligible: replica-1 cannot be promoted: rows of 2 chunks do not arrive | --accept-data-loss all"
    );
    assert_eq!(promote(&gone, "replica-1", Some(Accepted::Any)), "primary-1 to replica-1");
}

#[test]
fn a_priority_of_zero_keeps_a_replica_from_being_chosen_and_not_from_being_named() {
    let spare = Member { priority: 0, ..synchronous_standby() };
    let gone = struck(&Condition::VolumeGone, vec![spare.clone()], LATER);
    assert!(matches!(decide(&POLICY, &gone), Decision::AskOperator { .. }));
    assert_eq!(promote(&gone, "replica-1", None), "primary-1 to replica-1");
    let calm = situation(vec![spare], LATER);
    assert_eq!(
        told(switchover(&calm, None)),
        "ineligible: replica-1 cannot be promoted: its `priority` is 0 | no flag"
    );
    assert_eq!(told(switchover(&calm, Some(&node_name("replica-1")))), "primary-1 to replica-1");
}

#[test]
fn a_switchover_goes_to_the_best_replica_or_says_why_not() {
    let calm = situation(vec![subscriber(0), standby(10), standby(0)], LATER);
    assert_eq!(told(switchover(&calm, None)), "primary-1 to replica-3");
    assert_eq!(told(switchover(&situation(Vec::new(), LATER), None)), "no_replica: there is no replica | no flag");
    let far = situation(vec![standby(20_000_000)], LATER);
    assert_eq!(
        told(switchover(&far, None)),
        "too_far_behind: it is 20000000 bytes behind, and clients would wait for all of them | no flag"
    );
    let frozen = struck(&Condition::Frozen, vec![standby(0)], LATER);
    assert_eq!(
        told(switchover(&frozen, None)),
        "primary_does_not_answer: the primary does not answer (its container is paused); use `hypertide promote` | no flag"
    );
    let mut two = situation(vec![standby(0), primary()], LATER);
    assert_eq!(told(switchover(&two, None)), "other_writer: replica-2 takes writes too, or may | no flag");
    two.members.clear();
    assert_eq!(told(switchover(&two, None)), "no_primary: no node is known to be the primary | no flag");
}
