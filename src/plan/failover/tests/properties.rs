//! What no decision ever does, whatever is so.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::generate::{any_policy, any_situation};
use super::*;
use crate::model::cluster::Mode;
use crate::plan::failover::candidate::candidates;
use crate::plan::failover::loss::Lossless;
use crate::plan::readiness::Ineligible;

/// Longer than all patience together.
const FOR_EVER: Duration = Duration::from_hours(10);

fn primary_condition(situation: &Situation) -> Option<Condition> {
    let primary = situation.primary().ok()?;
    Some(situation.diagnosis(&situation.members[primary]).condition)
}

/// The same situation, with the names of two nodes exchanged.
fn swapped(situation: &Situation, one: &NodeName, other: &NodeName) -> Situation {
    let mut swapped = situation.clone();
    if let (Some(first), Some(second)) = (swapped.members.remove(one), swapped.members.remove(other)) {
        swapped.members.insert(other.clone(), first);
        swapped.members.insert(one.clone(), second);
    } else {
        return situation.clone();
    }
    swapped
}

/// Properties prove nothing about what is never generated.
#[test]
fn every_kind_of_decision_is_among_the_arbitrary_ones() {
    let mut runner = TestRunner::deterministic();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..16_000 {
        let tree = (any_policy(), any_situation()).new_tree(&mut runner).expect("it generates");
        let (policy, situation) = tree.current();
        let decision = decide(&policy, &situation);
        let word = match &decision {
            Decision::Promote { loss, .. } => format!("promote {}", loss.label()),
            decision => decision.label().to_owned(),
        };
        *found.entry(word).or_default() += 1;
    }
    for word in [
        "stay",
        "wait",
        "restart_in_place",
        "ask_operator",
        "promote synchronous",
        "promote salvaged",
        "promote exactly",
        "promote at_least",
        "promote_if_complete",
    ] {
        assert!(found.get(word).is_some_and(|count| *count >= 5), "{word}: {found:?}");
    }
}

proptest! {
    #[test]
    fn a_promotion_is_decided_only_where_nothing_forbids_it(policy in any_policy(), situation in any_situation()) {
        let Decision::Promote { node, loss, salvage, .. } = decide(&policy, &situation) else { return Ok(()) };
        let primary = situation.primary().expect("there was one to replace");
        let diagnosis = situation.diagnosis(&situation.members[primary]);
        let eligible = candidates(&situation, primary).eligible;
        prop_assert!(eligible.iter().any(|candidate| *candidate.name == node), "{} is not eligible", node);
        let vetoes = veto::of_promotion(
            &situation, (primary, &diagnosis.condition), (&node, Vec::new()), &loss, policy.accepted(),
        );
        prop_assert_eq!(vetoes, Vec::new());
        prop_assert!(situation.engine.seen.is_present());
        // The same once more, from the facts themselves.
        let newest = situation.members[primary].health.epoch.present().expect("it is known");
        for (name, member) in situation.others(primary) {
            let health = &member.health;
            prop_assert!(!matches!(health.takes_writes, Seen::Present(true) | Seen::Unknown { .. }), "{} may write", name);
            prop_assert!(health.is_fenced() || !health.epoch.is_unknown(), "{}", name);
            prop_assert!(health.epoch.present().is_none_or(|epoch| epoch <= newest), "{}", name);
        }
        let chosen = &situation.members[&node].health;
        prop_assert!(chosen.fence_mark.is_absent() && chosen.server.seen == Seen::Present(Probe::Answers));
        match &loss {
            Loss::Nothing(_) => {}
            Loss::Exactly { bytes, .. } => prop_assert!(*bytes <= policy.max_loss_bytes),
            Loss::AtLeast { bytes, .. } => prop_assert!(policy.max_loss_bytes > 0 && *bytes <= policy.max_loss_bytes),
            Loss::Unknown(_) => prop_assert!(false, "nobody knows what is lost"),
        }
        prop_assert!(!matches!(diagnosis.condition, Condition::Answers | Condition::DiskFull | Condition::LockedOut));
        prop_assert_eq!(salvage.is_some(), loss == Loss::Nothing(Lossless::Salvaged));
    }

    #[test]
    fn completeness_is_to_be_found_out_only_where_nothing_else_is_lacking(policy in any_policy(), situation in any_situation()) {
        let Decision::PromoteIfComplete { node, .. } = decide(&policy, &situation) else { return Ok(()) };
        let primary = situation.primary().expect("there was one to replace");
        prop_assert!(request::promotion(&policy, &situation, &node, Some(Accepted::Any)).is_ok());
        let (replica, old) = (&situation.members[&node], &situation.members[primary].health);
        prop_assert_eq!(replica.mode(), Some(Mode::Logical));
        prop_assert!(replica.priority > 0 && situation.members.len() == 2, "nobody is left behind");
        prop_assert_eq!(&old.volume.seen, &Seen::Present(VolumeState::Intact));
        let reasons = candidate::objections(&situation, primary, replica);
        prop_assert!(reasons.iter().all(Ineligible::is_found_out), "{:?}", reasons);
        // Once it has failed somebody is asked, or what can be restarted is.
        let mut failed = situation.clone();
        failed.unproven.insert(node, "a test".into());
        let next = decide(&policy, &failed);
        prop_assert!(matches!(next, Decision::AskOperator { .. } | Decision::RestartInPlace { .. }), "{}", next);
    }

    #[test]
    fn nothing_is_done_about_what_is_not_known(policy in any_policy(), situation in any_situation()) {
        let decision = decide(&policy, &situation);
        if decision.acts() {
            prop_assert!(primary_condition(&situation).is_some_and(|condition| !condition.is_unknown()));
        }
    }

    #[test]
    fn it_acts_by_itself_only_when_it_may(policy in any_policy(), situation in any_situation()) {
        let decision = decide(&policy, &situation);
        prop_assert!(!decision.acts() || policy.automatic && !policy.is_paused);
    }

    #[test]
    fn who_agrees_to_more_gets_no_less(policy in any_policy(), situation in any_situation(), more: u64) {
        let lenient = Policy { max_loss_bytes: policy.max_loss_bytes.saturating_add(more), ..policy };
        let (strict, lenient) = (decide(&policy, &situation), decide(&lenient, &situation));
        if strict.acts() {
            prop_assert!(lenient.acts());
        }
        if matches!(strict, Decision::Promote { .. }) {
            prop_assert_eq!(strict, lenient);
        }
    }

    #[test]
    fn names_decide_nothing(policy in any_policy(), situation in any_situation(), pair in 1..3_u8) {
        let (one, other) = (node_name("replica-1"), node_name(&format!("replica-{}", pair + 1)));
        let exchanged = swapped(&situation, &one, &other);
        let (before, after) = (decide(&policy, &situation), decide(&policy, &exchanged));
        prop_assert_eq!(before.label(), after.label());
        prop_assert_eq!(before.reason(), after.reason());
        if let (Decision::Promote { node, loss, .. }, Decision::Promote { node: again, loss: other_loss, .. }) = (before, after) {
            prop_assert_eq!(loss.rank(), other_loss.rank());
            let (member, same) = (&situation.members[&node], &exchanged.members[&again]);
            let key = |member: &Member| (member.mode(), member.health.position(member.mode() == Some(Mode::Physical)), member.priority);
            prop_assert_eq!(key(member), key(same));
        }
    }

    #[test]
    fn the_same_facts_give_the_same_decision(policy in any_policy(), situation in any_situation()) {
        prop_assert_eq!(decide(&policy, &situation), decide(&policy, &situation.clone()));
    }

    #[test]
    fn waiting_ends_when_it_was_said_to(policy in any_policy(), mut situation in any_situation()) {
        for _ in 0..10 {
            let Decision::Wait { why, until } = decide(&policy, &situation) else { return Ok(()) };
            prop_assert!(until > situation.now, "waits for what has passed");
            prop_assert!(until < situation.now + FOR_EVER);
            situation.now = until;
            if let Decision::Wait { why: next, .. } = decide(&policy, &situation) {
                prop_assert_ne!(why, next, "waits for the same again");
            }
        }
        prop_assert!(false, "waits on and on");
    }

    #[test]
    fn a_primary_that_answers_is_left_alone(policy in any_policy(), situation in any_situation()) {
        if primary_condition(&situation) == Some(Condition::Answers) {
            prop_assert!(!decide(&policy, &situation).acts());
        }
    }

    #[test]
    fn whoever_is_told_of_a_way_to_promote_may_take_it(policy in any_policy(), situation in any_situation()) {
        let Decision::AskOperator { ways, why } = decide(&policy, &situation) else { return Ok(()) };
        for way in ways {
            if let Way::Promote(node, accepted) = way {
                // Without an agreement it may be one that finds out itself what the replica lacks.
                let automatic = Policy { automatic: true, ..policy };
                let is_proof = accepted.is_none()
                    && matches!(decide(&automatic, &situation), Decision::PromoteIfComplete { .. });
                let answer = request::promotion(&policy, &situation, &node, if is_proof { Some(Accepted::Any) } else { accepted });
                prop_assert!(answer.is_ok(), "{}: {:?}", why, answer);
            }
        }
    }

    #[test]
    fn a_refusal_that_names_a_flag_falls_with_it(policy in any_policy(), situation in any_situation(), which in 1..4_u8) {
        let node = node_name(&format!("replica-{which}"));
        let Err(refusal) = request::promotion(&policy, &situation, &node, None) else { return Ok(()) };
        prop_assert!(!refusal.vetoes.is_empty());
        let Some(accepted) = refusal.accepted_by() else { return Ok(()) };
        prop_assert!(request::promotion(&policy, &situation, &node, Some(accepted)).is_ok());
    }

    #[test]
    fn a_switchover_wants_a_primary_that_answers_and_a_replica_that_lacks_nothing(situation in any_situation()) {
        match request::switchover(&situation, None) {
            Ok(choice) => {
                prop_assert_eq!(primary_condition(&situation), Some(Condition::Answers));
                prop_assert!(candidates(&situation, &choice.from).eligible.iter().any(|it| *it.name == choice.to));
                prop_assert_eq!(request::switchover(&situation, Some(&choice.to)), Ok(choice));
            }
            Err(refusal) => prop_assert!(!refusal.vetoes.is_empty()),
        }
    }
}
