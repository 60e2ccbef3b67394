//! What a plan would do or holds back, and the agent that carries plans out.

use super::facts::{ContainerExam, Examined};
use super::{Check, Finding, Severity};
use crate::model::desired::Desired;
use crate::model::observed::RunState;
use crate::model::pack::Pack;
use crate::model::seen::Seen;
use crate::plan::hold::Reason;
use crate::plan::{self, Wanted};

/// An agent that Docker had to start again more often than this has a reason to die.
const RESTARTS_TOLERATED: u32 = 3;

/// Holds and pending steps; what `said` says already is not repeated.
pub fn cluster(examined: &Examined, desired: &Desired, packs: Option<&[Pack]>, said: &[Finding]) -> Vec<Finding> {
    let observed = match &examined.observed {
        Seen::Absent => return Vec::new(),
        Seen::Unknown { because } => {
            return vec![Finding::problem(
                Check::Cluster,
                format!("the cluster could not be looked at: {because}"),
                "mend what the other findings name, then run `hypertide doctor` again",
            )];
        }
        Seen::Present(observed) => observed,
    };
    // Whether agents are wanted is `up --no-agent`'s to say; the agent is judged on its own.
    let plan = plan::plan(&Wanted { desired, packs, agent: None }, observed);
    let is_said = |check| said.iter().any(|finding| finding.check == check && finding.severity == Severity::Problem);
    let mut findings: Vec<Finding> = plan
        .holds
        .iter()
        .filter(|hold| !told_by(&hold.reason).is_some_and(is_said))
        .map(|hold| {
            let severity = if hold.reason.is_passing() { Severity::Warning } else { Severity::Problem };
            Finding { check: Check::Cluster, severity, text: hold.to_string(), help: hold.reason.help() }
        })
        .collect();

    let count = plan.steps().count();
    let steps = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
    match plan.steps().next() {
        Some(_) if !examined.is_provisioned() => findings.push(Finding::ok(
            Check::Cluster,
            format!("cluster {} is not provisioned yet; `hypertide up` does it in {steps}", desired.cluster),
        )),
        Some(first) => findings.push(Finding::warning(
            Check::Cluster,
            format!("cluster {} is not as configured: {steps} to do, the first: {first}", desired.cluster),
            "`hypertide up --plan` lists them, `hypertide up` does them",
        )),
        None if plan.holds.is_empty() => {
            let text = format!("cluster {} is as configured; nothing to do, nothing held", desired.cluster);
            findings.push(Finding::ok(Check::Cluster, text));
        }
        None => {}
    }
    findings
}

/// The check that tells the same as a hold, with more words.
fn told_by(reason: &Reason) -> Option<Check> {
    match reason {
        Reason::PortTaken(..) => Some(Check::Ports),
        Reason::ImageWithoutPostgres | Reason::ImageWithoutTimescale => Some(Check::Image),
        Reason::OtherPostgresMajor(..) | Reason::OtherTimescale(..) => Some(Check::Volumes),
        Reason::Unknown(_) => Some(Check::Server),
        _ => None,
    }
}

/// The agent's container.
pub fn agent(examined: &Examined, desired: &Desired) -> Option<Finding> {
    let name = desired.cluster.agent();
    let runs = |container: &Seen<ContainerExam>| container.present().is_some_and(|it| it.state == RunState::Running);
    let is_any_node_up = examined.nodes.iter().any(|node| runs(&node.container));
    let help = "`hypertide logs agent` shows why; `hypertide up` starts it again";
    Some(match &examined.agent {
        Seen::Absent if !is_any_node_up => return None,
        Seen::Absent => Finding::warning(
            Check::Agent,
            "no agent runs: new chunks are not mirrored and nothing is repaired until the next `hypertide up`",
            "run `hypertide up` without --no-agent",
        ),
        Seen::Unknown { because } => Finding::problem(
            Check::Agent,
            format!("{name} could not be looked at: {because}"),
            format!("`docker inspect {name}` shows what it is"),
        ),
        Seen::Present(ContainerExam { state: RunState::Running, restarts, .. }) => match restarts {
            ..=RESTARTS_TOLERATED => Finding::ok(Check::Agent, format!("{name} runs, {restarts} restarts")),
            _ => Finding::warning(
                Check::Agent,
                format!("{name} runs, and Docker had to start it again {restarts} times"),
                "`hypertide logs agent` shows why it ended",
            ),
        },
        Seen::Present(_) if !is_any_node_up => {
            Finding::ok(Check::Agent, format!("{name} is stopped, as the nodes are"))
        }
        Seen::Present(ContainerExam { state: RunState::Changing, restarts, .. }) => Finding::problem(
            Check::Agent,
            format!("{name} ends as soon as it starts; Docker tried {restarts} times"),
            help,
        ),
        Seen::Present(_) => Finding::problem(
            Check::Agent,
            format!("{name} does not run: new chunks are not mirrored and nothing is repaired"),
            help,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{Ok, Problem, Warning};
    use super::super::findings;
    use super::super::testing::{desired, examined, node};
    use super::*;
    use crate::model::observed::{ImageFacts, NodeSeen, Observed, Owned, VolumeSeen};

    fn judged(observed: Seen<Observed>, said: &[Finding]) -> Vec<Finding> {
        let examined = Examined { observed, ..examined() };
        cluster(&examined, &desired(""), None, said)
    }

    fn with_foreign_network() -> Seen<Observed> {
        Seen::Present(Observed { network: Seen::Present(Owned { ours: false }), ..Observed::default() })
    }

    #[test]
    fn what_is_not_provisioned_yet_is_well_and_a_hold_is_a_problem() {
        let found = judged(Seen::Present(Observed::default()), &[]);
        assert_eq!((found.len(), found[0].severity), (1, Ok), "{found:?}");
        assert!(found[0].text.contains("is not provisioned yet; `hypertide up` does it in "), "{found:?}");

        let found = judged(with_foreign_network(), &[]);
        assert_eq!((found.len(), found[0].severity), (1, Problem), "{found:?}");
        assert!(found[0].text.contains("does not belong to this cluster"), "{found:?}");
        assert!(found[0].help.is_some());
    }

    #[test]
    fn a_provisioned_cluster_that_needs_steps_is_worth_a_warning() {
        let volume = VolumeSeen { ours: true, seat: None, port: None, postgres_major: None, timescaledb: None };
        let primary = desired("").preferred_primary().name.clone();
        let seen = NodeSeen { volume: Seen::Present(volume), ..NodeSeen::default() };
        let observed = Observed { nodes: [(primary, seen)].into(), ..Observed::default() };
        let found = judged(Seen::Present(observed), &[]);
        let last = found.last().expect("a finding");
        assert_eq!(last.severity, Warning, "{found:?}");
        assert!(last.text.contains("is not as configured"), "{found:?}");
    }

    #[test]
    fn what_passes_by_itself_is_a_warning() {
        let image = Seen::unknown("odd");
        let found = judged(Seen::Present(Observed { image, ..Observed::default() }), &[]);
        let hold = found.iter().find(|finding| finding.text.contains("odd")).expect("the hold");
        assert_eq!(hold.severity, Warning);
    }

    #[test]
    fn a_failed_look_is_a_problem_and_none_is_silence() {
        assert_eq!(judged(Seen::unknown("odd"), &[])[0].severity, Problem);
        assert_eq!(judged(Seen::Absent, &[]), []);
    }

    #[test]
    fn a_hold_that_a_check_tells_better_is_not_repeated() {
        let image = ImageFacts { reference: "a".into(), id: "b".into(), postgres_major: Some(17), timescaledb: None };
        let observed = Seen::Present(Observed { image: Seen::Present(image), ..Observed::default() });
        assert_eq!(judged(observed.clone(), &[])[0].severity, Problem);
        let said = [Finding::problem(Check::Image, "the image lacks it", "get another")];
        assert!(judged(observed.clone(), &said).iter().all(|finding| finding.severity < Problem));
        let other = [Finding::problem(Check::Ports, "a port is taken", "")];
        assert_eq!(judged(observed, &other)[0].severity, Problem);
    }

    #[test]
    fn every_state_of_the_agent_is_judged() {
        let desired = desired("");
        let agent_in = |state, restarts| {
            Seen::Present(ContainerExam { state, ended: None, restarts, mounts: Vec::new(), pgdata: None })
        };
        let table = [
            (Seen::Absent, true, Some((Warning, "no agent runs"))),
            (Seen::Absent, false, None),
            (Seen::unknown("odd"), true, Some((Problem, "odd"))),
            (agent_in(RunState::Running, 3), true, Some((Ok, "runs, 3 restarts"))),
            (agent_in(RunState::Running, 4), true, Some((Warning, "start it again 4 times"))),
            (agent_in(RunState::Changing, 9), true, Some((Problem, "Docker tried 9 times"))),
            (agent_in(RunState::Exited, 0), true, Some((Problem, "does not run"))),
            (agent_in(RunState::Exited, 0), false, Some((Ok, "is stopped, as the nodes are"))),
        ];
        for (seen, is_up, wanted) in table {
            let nodes = if is_up { vec![node("n-1", &desired)] } else { Vec::new() };
            let found = agent(&Examined { agent: seen, nodes, ..examined() }, &desired);
            let got = found.as_ref().map(|finding| finding.severity);
            assert_eq!(got, wanted.map(|(severity, _)| severity), "{found:?}");
            assert!(found.is_none_or(|finding| finding.text.contains(wanted.map_or("", |(_, text)| text))));
        }
    }

    #[test]
    fn without_a_configuration_only_the_host_is_judged() {
        let mut examined = examined();
        examined.config.mistakes = vec![crate::plan::doctor::facts::Mistake { text: "line 1: x".into(), help: None }];
        let found = findings(&examined, None, None);
        let checks: Vec<Check> = found.iter().map(|finding| finding.check).collect();
        assert_eq!(checks, [Check::Config, Check::Engine]);
        assert!(!plan::doctor::is_healthy(&found));
        assert_eq!((found[0].text.as_str(), &found[0].help), ("line 1: x", &None));
    }

    #[test]
    fn findings_come_in_the_order_of_the_checks() {
        let desired = desired("");
        let mut examined = examined();
        examined.nodes = desired.nodes.iter().map(|wanted| node(wanted.name.as_str(), &desired)).collect();
        let found = findings(&examined, Some(&desired), None);
        assert!(found.is_sorted_by_key(|finding| finding.check), "{found:?}");
    }
}
