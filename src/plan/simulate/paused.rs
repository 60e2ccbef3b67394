//! What pausing failover takes from the agent: the start of the primary, and nothing else.

use proptest::prelude::*;

use super::convergence::live;
use super::events::Event;
use super::generate::{any_cluster, any_hard_life};
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::promotion::FailoverPause;
use crate::plan::hold::{Hold, Reason};
use crate::plan::remit;
use crate::plan::step::{Plan, Step, Subject};

/// The same look, while failover is paused.
fn paused(mut observed: Observed) -> Observed {
    let pause = FailoverPause { since: chrono::DateTime::UNIX_EPOCH, until: None };
    let servers = observed.nodes.values_mut().filter_map(|node| node.server.present_mut());
    for database in servers.filter_map(|server| server.database.present_mut()) {
        database.failover_paused = Some(pause);
    }
    observed
}

fn starts(plan: &Plan, node: &NodeName) -> bool {
    plan.steps().any(|step| matches!(step, Step::StartNode { node: of } if of == node))
}

proptest! {
    #[test]
    fn a_pause_keeps_the_agent_from_starting_the_primary_and_from_nothing_else(
        mut cluster in any_cluster(), life in any_hard_life(), dies in any::<bool>(),
    ) {
        live(&mut cluster, &life).map_err(TestCaseError::fail)?;
        if dies {
            Event::Kill(0).happen(&mut cluster);
        }
        let observed = paused(cluster.observe());
        let awake = cluster.plan_of(&cluster.observe());
        let full = cluster.plan_of(&observed);
        prop_assert_eq!((&full.stages, &full.holds), (&awake.stages, &awake.holds), "`up` goes on as always");
        let kept = remit::agent(full.clone());
        let Some(primary) = &full.left_stopped else {
            prop_assert_eq!(kept, remit::agent(awake));
            return Ok(());
        };
        prop_assert!(!starts(&kept, primary));
        let is_left = kept.holds.contains(&Hold::new(primary.as_str(), Reason::FailoverPaused));
        let elsewhere = |plan: Plan| {
            let steps = plan.steps().filter(|step| !is_left || step.subject() != Subject::Node(primary));
            steps.cloned().collect::<Vec<_>>()
        };
        let unpaused = remit::agent(awake);
        prop_assert_eq!(is_left, starts(&unpaused, primary), "it is told when it is left alone, and only then");
        prop_assert_eq!(elsewhere(kept), elsewhere(unpaused));
    }
}
