//! What the agent may do by itself: keep what is provisioned working, and never make or remove anything.
//!
//! Takes a plan, gives back the part the agent executes; what it leaves out becomes a hold.

use std::collections::BTreeSet;

use super::endpoint::step::EndpointStep;
use super::hold::{Hold, Reason};
use super::outside::step::OutsideStep;
use super::step::{Plan, Stage, Step, Subject};
use crate::model::endpoint::Access;
use crate::model::monitoring::Monitor;
use crate::model::names::NodeName;

/// The agent's part of a plan. At a node's first step outside the remit, nothing later in the plan touches that node.
/// Of the steps on the host, making passwords blocks every node; what needs the others on a node is outside the remit
/// itself. A primary that was stopped while failover is paused stays as it is.
pub fn agent(plan: Plan) -> Plan {
    let Plan { stages, holds, left_stopped } = plan;
    let mut kept = Plan { stages: Vec::new(), holds, left_stopped: None };
    let mut blocked: BTreeSet<NodeName> = BTreeSet::new();
    let mut blocked_endpoints: BTreeSet<Access> = BTreeSet::new();
    let mut blocked_monitors: BTreeSet<Monitor> = BTreeSet::new();
    let mut has_passwords = true;
    for stage in stages {
        let mut lanes = Vec::new();
        for lane in stage.lanes {
            let mut rest = Vec::new();
            for step in lane {
                let is_blocked = match step.subject() {
                    Subject::Node(node) => blocked.contains(node),
                    Subject::Endpoint(access) => blocked_endpoints.contains(&access),
                    Subject::Monitor(monitor) => blocked_monitors.contains(&monitor),
                    Subject::Host | Subject::Agent => false,
                };
                if is_blocked {
                    continue;
                }
                if let Some(node) = left_stopped.as_ref().filter(|node| starts(&step, node)) {
                    blocked.insert(node.clone());
                    kept.holds.push(Hold::new(node.as_str(), Reason::FailoverPaused));
                    continue;
                }
                if is_in_remit(&step) && has_passwords {
                    rest.push(step);
                    continue;
                }
                let what = match (&step, step.subject()) {
                    // Stands apart from all else on its node.
                    (Step::Outside { step, .. }, _) => step.name().to_owned(),
                    (_, Subject::Node(node)) => {
                        blocked.insert(node.clone());
                        node.to_string()
                    }
                    (_, Subject::Endpoint(access)) => {
                        blocked_endpoints.insert(access);
                        access.name().to_owned()
                    }
                    (_, Subject::Monitor(monitor)) => {
                        blocked_monitors.insert(monitor);
                        monitor.name().to_owned()
                    }
                    (_, Subject::Host | Subject::Agent) => {
                        has_passwords &= step != Step::CreateSecrets;
                        step.label().to_owned()
                    }
                };
                kept.holds.push(Hold::new(what, Reason::NeedsUp));
            }
            lanes.push(rest);
        }
        lanes.retain(|lane| !lane.is_empty());
        if !lanes.is_empty() {
            kept.stages.push(Stage { lanes });
        }
    }
    kept
}

/// The step is the start of this node, or the beginning of it.
fn starts(step: &Step, node: &NodeName) -> bool {
    matches!(step, Step::GiveSecrets { node: of } | Step::StartNode { node: of } if of == node)
}

/// The agent starts what stopped, Prometheus and Grafana excepted, which Docker starts again unless a person stopped them. It keeps replication complete and clients led to where they belong.
const fn is_in_remit(step: &Step) -> bool {
    matches!(
        step,
        Step::GiveSecrets { .. }
            | Step::StartNode { .. }
            | Step::Rejoin { .. }
            | Step::Follow { .. }
            | Step::RaiseEpoch { .. }
            | Step::LiftFence { .. }
            | Step::Demote { .. }
            | Step::Resubscribe { .. }
            | Step::SetStandbys { .. }
            | Step::SetApplyFlush { .. }
            | Step::Redirect { .. }
            | Step::UnguardTables { .. }
            | Step::AlignPasswords { .. }
            | Step::PublishTables { .. }
            | Step::EnableAutoPublication { .. }
            | Step::PrepareSubscriber { .. }
            | Step::AlignPartitioning { .. }
            | Step::RetireChunks { .. }
            | Step::KeepPlaces { .. }
            | Step::MirrorChunks { .. }
            | Step::ForgetRetired { .. }
            | Step::MakeChunksAhead { .. }
            | Step::GuardTables { .. }
            | Step::RefreshSubscription { .. }
            | Step::Endpoint { step: EndpointStep::Start { .. } | EndpointStep::Repoint { .. }, .. }
            | Step::Outside { step: OutsideStep::PublishChunks { .. }, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(name: &str) -> Step {
        Step::StartNode { node: crate::plan::simulate::world::node_name(name) }
    }

    #[test]
    fn a_primary_that_failover_is_paused_for_is_left_stopped_and_nothing_else_is() {
        let node = || crate::plan::simulate::world::node_name("a");
        let mut plan = Plan { left_stopped: Some(node()), ..Plan::default() };
        let secrets = Step::GiveSecrets { node: node() };
        plan.then_side_by_side(vec![vec![secrets, start("a")], vec![start("b")]]);
        let kept = agent(plan.clone());
        assert_eq!(kept.steps().cloned().collect::<Vec<_>>(), [start("b")]);
        assert_eq!(kept.holds, [Hold::new("a", Reason::FailoverPaused)]);
        let awake = agent(Plan { left_stopped: None, ..plan });
        assert_eq!((awake.steps().count(), awake.holds), (3, Vec::new()));
    }

    #[test]
    fn only_missing_passwords_keep_the_agent_from_every_node() {
        for (step, may_start) in [(Step::ProvideImage, true), (Step::CreateNetwork, true), (Step::CreateSecrets, false)]
        {
            let mut plan = Plan::default();
            plan.then(vec![step.clone()]);
            plan.then_side_by_side(vec![vec![start("a")], vec![start("b")]]);
            let kept = agent(plan);
            assert_eq!(kept.steps().count(), if may_start { 2 } else { 0 }, "{step}");
            let held: Vec<&str> = kept.holds.iter().map(|hold| hold.what.as_str()).collect();
            assert_eq!(held, if may_start { vec![step.label()] } else { vec![step.label(), "a", "b"] });
        }
    }

    #[test]
    fn a_node_is_left_alone_after_its_first_step_outside_the_remit() {
        let node = || crate::plan::simulate::world::node_name("a");
        let mut plan = Plan::default();
        let remove = Step::RemoveContainer { node: node() };
        plan.then_side_by_side(vec![vec![start("a"), remove, start("a")], vec![start("b")]]);
        plan.then(vec![Step::RefreshSubscription { node: node() }]);
        let kept = agent(plan);
        assert_eq!(kept.steps().cloned().collect::<Vec<_>>(), [start("a"), start("b")]);
        assert_eq!(kept.holds, [Hold::new("a", Reason::NeedsUp)]);
    }
}
