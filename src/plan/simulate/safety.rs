//! What no plan ever does, whatever happened before.

use proptest::prelude::*;

use super::Cluster;
use super::convergence::{finished, live};
use super::events::{Event, Foreign};
use super::generate::{any_cluster, any_hard_life};
use crate::model::cluster::{Mode, Seat};
use crate::model::endpoint::Access;
use crate::model::names::NodeName;
use crate::model::observed::{Observed, RunState};
use crate::model::seen::Seen;
use crate::plan::endpoint::step::EndpointStep;
use crate::plan::hold::{Hold, Reason};
use crate::plan::provision::SUPERUSER;
use crate::plan::step::{Plan, Step, Subject};
use crate::plan::{remit, topology};

/// Steps that make, start, stop or remove a node's volume or container.
fn is_on_container(step: &Step) -> bool {
    matches!(
        step,
        Step::CreateVolume { .. }
            | Step::CloneStandby { .. }
            | Step::Rejoin { .. }
            | Step::CreateNode { .. }
            | Step::GiveSecrets { .. }
            | Step::StartNode { .. }
            | Step::StopNode { .. }
            | Step::RemoveContainer { .. }
            | Step::RemoveVolume { .. }
    )
}

fn is_about(step: &Step, node: &NodeName) -> bool {
    step.subject() == Subject::Node(node)
}

/// The rules that hold for every plan from every observation.
fn assert_safe(cluster: &Cluster, observed: &Observed, plan: &Plan) {
    let has_refusal = plan.refusals().next().is_some();
    assert!(!has_refusal || plan.stages == plan.relief().stages, "a refusal and steps: {plan:#?}");
    for step in plan.steps() {
        assert!(
            !matches!(step, Step::RemoveVolume { .. } | Step::EmptyReplica { .. } | Step::Unsubscribe { .. }),
            "{step}"
        );
        if let Step::CreateVolume { spec } = step
            && spec.seat == Seat::Primary
        {
            let volumes = observed.nodes.values().filter(|seen| !seen.volume.is_absent()).count();
            assert_eq!(volumes, 0, "an empty primary beside data");
        }
        if let Subject::Node(node) = step.subject() {
            let seen = observed.nodes.get(node);
            let is_foreign = seen.is_some_and(|seen| {
                seen.volume.present().is_some_and(|volume| !volume.ours)
                    || seen.container.present().is_some_and(|container| !container.ours)
            });
            assert!(!is_foreign, "{step} on what is not ours");
        }
    }
    for lane in plan.stages.iter().flat_map(|stage| &stage.lanes) {
        let at = |wanted: &dyn Fn(&Step) -> bool| lane.iter().position(wanted);
        if let Some(removed) = at(&|step| matches!(step, Step::RemoveContainer { .. } | Step::StopNode { .. })) {
            let made = at(&|step| matches!(step, Step::CreateNode { .. }));
            assert!(made.is_some_and(|made| made > removed), "what is stopped comes back: {lane:?}");
        }
    }
    let nodes = topology::nodes(&cluster.desired, observed);
    if let Err(hold) = topology::primary(&nodes, observed) {
        assert!(plan.stages.is_empty() && plan.holds.contains(&hold));
    }
}

/// One thing that a look may fail to show.
#[derive(Clone, Copy, Debug)]
enum Blind {
    Volume,
    Container,
    Server,
    Database,
    Image,
    Secrets,
    Network,
    Agent,
    AgentVolume,
}

const BLIND: [Blind; 9] = [
    Blind::Volume,
    Blind::Container,
    Blind::Server,
    Blind::Database,
    Blind::Image,
    Blind::Secrets,
    Blind::Network,
    Blind::Agent,
    Blind::AgentVolume,
];

/// The same look, with one thing that could not be seen.
fn blinded(observed: &Observed, blind: Blind, node: &NodeName) -> Observed {
    let mut observed = observed.clone();
    let because = "a test";
    match blind {
        Blind::Image => observed.image = Seen::unknown(because),
        Blind::Secrets => observed.secrets = Seen::unknown(because),
        Blind::Network => observed.network = Seen::unknown(because),
        Blind::Agent => observed.agent = Seen::unknown(because),
        Blind::AgentVolume => observed.agent_volume = Seen::unknown(because),
        _ => {}
    }
    let Some(seen) = observed.nodes.get_mut(node) else { return observed };
    match blind {
        Blind::Volume => seen.volume = Seen::unknown(because),
        Blind::Container => {
            seen.container = Seen::unknown(because);
            seen.server = Seen::unknown(because);
        }
        // A server that does not run is absent, never unknown.
        Blind::Server if !seen.server.is_absent() => seen.server = Seen::unknown(because),
        Blind::Database => {
            if let Some(server) = seen.server.present_mut() {
                server.database = Seen::unknown(because);
            }
        }
        _ => {}
    }
    observed
}

/// Whatever a plan does without knowing something, it would also do knowing it; and what it does not know, it leaves
/// alone.
fn assert_blind_is_careful(full: &Plan, plan: &Plan, blind: Blind, node: &NodeName) {
    for step in plan.steps() {
        let is_careless = match blind {
            Blind::Volume | Blind::Container | Blind::Server => is_about(step, node),
            Blind::Database => is_about(step, node) && !is_on_container(step) && !is_on_server(step),
            Blind::Image | Blind::Secrets | Blind::Network => {
                is_on_container(step) && !matches!(step, Step::GiveSecrets { .. } | Step::StartNode { .. })
                    || matches!(step, Step::CreateAgent { .. } | Step::RemoveAgent)
            }
            Blind::Agent | Blind::AgentVolume => step.subject() == Subject::Agent,
        };
        assert!(!is_careless, "{step} without having seen the {blind:?} of {node}");
    }
    // A node that cannot be rebuilt now is worked on as it is.
    let is_host = matches!(blind, Blind::Image | Blind::Secrets | Blind::Network);
    let may_differ = |step: &Step| is_host && !is_on_container(step);
    // Nodes are not compared while migrations run; when those wait for the node that cannot be seen, the others are.
    let is_migrating = full.steps().any(|step| matches!(step, Step::ApplyMigration { .. }));
    let is_refused = full.refusals().next().is_some() || is_migrating;
    for step in plan.steps().filter(|step| !is_refused && !may_differ(step) && !leads_otherwise(full, step)) {
        assert!(full.steps().any(|known| known == step), "{step} only because the {blind:?} of {node} is unknown");
    }
    assert!(
        is_refused || is_host || is_subset(&absent(plan), &absent(full)),
        "missing only because {blind:?} is unknown"
    );
}

/// Reads are led elsewhere in either case, to others of those who serve them: who could not be asked keeps its part or gets none.
/// An endpoint that has to be started leads where it did.
/// And fewer replicas are waited for, as long as the whole look changes that as well.
fn leads_otherwise(full: &Plan, step: &Step) -> bool {
    if matches!(step, Step::SetStandbys { .. }) {
        return full.steps().any(|planned| planned.subject() == step.subject() && planned.label() == step.label());
    }
    let Step::Endpoint { access, step: careful } = step else { return false };
    let may_differ = *access == Access::ReadOnly || *careful == EndpointStep::Start { to: None };
    may_differ && full.steps().any(|planned| planned.subject() == step.subject() && planned.label() == step.label())
}

/// Tables that are said to be missing on a replica.
fn absent(plan: &Plan) -> Vec<&Hold> {
    plan.holds.iter().filter(|hold| matches!(hold.reason, Reason::MissingOnReplica(_))).collect()
}

fn is_subset(some: &[&Hold], all: &[&Hold]) -> bool {
    some.iter().all(|hold| all.contains(hold))
}

/// Roles, slots and settings are the server's, not the database's.
fn is_on_server(step: &Step) -> bool {
    matches!(step, Step::CreateRoles { .. } | Step::AlignPasswords { .. } | Step::SetStandbys { .. })
}

/// The agent's list, said once more.
fn assert_in_remit(full: &Plan, kept: &Plan) {
    let mut rest = full.steps();
    for step in kept.steps() {
        assert!(rest.any(|planned| planned == step), "{step} in another order");
        let may = matches!(
            step.label(),
            "give_secrets"
                | "start_node"
                | "align_passwords"
                | "publish_tables"
                | "enable_auto_publication"
                | "prepare_subscriber"
                | "align_partitioning"
                | "retire_chunks"
                | "keep_places"
                | "mirror_chunks"
                | "forget_retired"
                | "make_chunks_ahead"
                | "guard_tables"
                | "unguard_tables"
                | "demote"
                | "set_synchronous_standby_names"
                | "set_synchronized_standby_slots"
                | "set_apply_flush"
                | "resubscribe"
                | "refresh_subscription"
                | "publish_outside_chunks"
                | "start_endpoint"
                | "repoint_endpoint"
        );
        assert!(may, "the agent may not {step}");
    }
    for left_out in full.steps().filter(|step| !kept.steps().any(|kept| kept == *step)) {
        let what = match (left_out, left_out.subject()) {
            (Step::Outside { step, .. }, _) => step.name(),
            (_, Subject::Node(node)) => node.as_str(),
            (_, Subject::Endpoint(access)) => access.name(),
            (_, Subject::Monitor(monitor)) => monitor.name(),
            (_, Subject::Host | Subject::Agent) => left_out.label(),
        };
        let is_told = kept.holds.iter().any(|hold| hold.reason == Reason::NeedsUp && hold.what == what);
        assert!(is_told, "{left_out} is left out silently");
    }
}

proptest! {
    #[test]
    fn no_plan_is_unsafe_or_tries_in_vain_whatever_happened(
        mut cluster in any_cluster(), life in any_hard_life(),
        blind in prop::sample::select(BLIND.to_vec()), which in any::<prop::sample::Index>(),
    ) {
        for action in &life {
            live(&mut cluster, std::slice::from_ref(action)).map_err(TestCaseError::fail)?;
            let observed = cluster.observe();
            let full = cluster.plan_of(&observed);
            assert_safe(&cluster, &observed, &full);
            let agents = cluster.agents_plan();
            assert_safe(&cluster, &observed, &agents);
            assert_in_remit(&agents, &remit::agent(agents.clone()));
            let is_compared = full.refusals().next().is_none()
                && !full.steps().any(|step| matches!(step, Step::ApplyMigration { .. }));
            assert!(!is_compared || is_subset(&absent(&agents), &absent(&full)), "the agent misses what is there");
            let node = which.get(&cluster.desired.nodes).name.clone();
            let half_seen = blinded(&observed, blind, &node);
            let nodes = topology::nodes(&cluster.desired, &observed);
            // Who cannot be seen to be the primary is not taken for it.
            let is_same_primary = topology::primary(&nodes, &observed) == topology::primary(&nodes, &half_seen);
            if half_seen != observed && (is_same_primary || topology::primary(&nodes, &half_seen).is_err()) {
                let careful = cluster.plan_of(&half_seen);
                assert_safe(&cluster, &half_seen, &careful);
                assert_blind_is_careful(&full, &careful, blind, &node);
            }
        }
    }
}

fn replica(number: usize) -> NodeName {
    super::world::node_name(&format!("replica-{number}"))
}

#[test]
fn two_writers_of_one_epoch_stop_everything() {
    let mut cluster = finished(&[Mode::Physical, Mode::Logical], &["trading"]);
    Event::Promote(0, 1).happen(&mut cluster);
    for plan in [cluster.plan(), cluster.agents_plan()] {
        assert!(plan.stages.is_empty());
        assert!(matches!(plan.holds.as_slice(), [hold] if matches!(hold.reason, Reason::TwoPrimaries(_))));
    }
}

#[test]
fn the_writer_of_the_higher_epoch_is_the_primary_and_the_other_one_is_left_alone() {
    let mut cluster = finished(&[Mode::Physical], &["trading"]);
    Event::Promote(0, 2).happen(&mut cluster);
    let observed = cluster.observe();
    let nodes = topology::nodes(&cluster.desired, &observed);
    assert_eq!(topology::primary(&nodes, &observed), Ok(replica(1)));
    let plan = cluster.plan();
    assert!(plan.steps().next().is_none(), "{plan:#?}");
    let [hold] = plan.holds.as_slice() else { panic!("{:?}", plan.holds) };
    assert_eq!(hold.to_string(), "primary-1: replica-1 is the primary, so this node is left alone");
}

#[test]
fn an_empty_primary_never_takes_the_place_of_data() {
    for mode in [Mode::Logical, Mode::Physical] {
        let mut cluster = finished(&[mode], &["trading"]);
        Event::LosePrimary.happen(&mut cluster);
        let plan = cluster.plan();
        assert!(plan.stages.is_empty());
        assert!(matches!(&plan.holds[0].reason, Reason::PrimaryDataGone(node) if *node == replica(1)));
    }
}

#[test]
fn a_renamed_primary_is_not_made_a_second_time() {
    for is_stopped in [false, true] {
        let mut cluster = finished(&[Mode::Logical], &["trading"]);
        let was = cluster.desired.nodes[0].name.clone();
        cluster.desired.nodes[0].name = super::world::node_name("db1");
        cluster.desired.nodes[0].port = 6000;
        if is_stopped {
            cluster.world.process_ends(&was);
        }
        let plan = cluster.plan();
        assert!(plan.steps().all(|step| !is_about(step, &cluster.desired.nodes[0].name)), "{plan:#?}");
        assert_eq!(plan.holds[0].reason, Reason::NotThePrimary(was.clone()));
        let restarts = plan.steps().any(|step| *step == Step::StartNode { node: was.clone() });
        assert_eq!(restarts, is_stopped, "the cluster works on");
    }
}

#[test]
fn a_node_whose_database_says_otherwise_is_not_taken_for_the_primary() {
    let mut cluster = finished(&[], &["trading"]);
    let name = cluster.desired.nodes[0].name.clone();
    let row = cluster.world.database_mut(&name).and_then(|database| database.catalog.as_mut()).expect("installed");
    row.seat = Seat::Replica(Mode::Logical);
    let plan = cluster.plan();
    assert!(plan.stages.is_empty());
    assert_eq!(plan.holds[0].reason, Reason::SeatChanged(Seat::Replica(Mode::Logical), Seat::Primary));
}

#[test]
fn a_primary_in_recovery_is_not_written_to() {
    let mut cluster = finished(&[Mode::Logical, Mode::Physical], &["trading"]);
    let name = cluster.desired.nodes[0].name.clone();
    let server = cluster.world.data_mut(&name).expect("it runs");
    server.standby_of = Some(replica(9));
    server.roles.retain(|role, _| role.as_str() == SUPERUSER);
    let plan = cluster.plan();
    assert!(plan.steps().next().is_none(), "{plan:#?}");
    let told: Vec<String> = plan.holds.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "primary-1: is in recovery and takes no writes",
            "replica-1: waits for the primary",
            "replica-2: waits for the primary"
        ]
    );
}

#[test]
fn a_replica_does_not_change_its_kind() {
    for mode in [Mode::Logical, Mode::Physical] {
        for is_stopped in [false, true] {
            let mut cluster = finished(&[mode], &["trading"]);
            Event::ChangeMode(0).happen(&mut cluster);
            if is_stopped {
                cluster.world.process_ends(&replica(1));
            }
            let plan = cluster.plan();
            assert!(plan.stages.is_empty(), "{plan:#?}");
            let wanted = cluster.desired.nodes[1].seat;
            assert_eq!(plan.holds, [Hold::new("replica-1", Reason::SeatChanged(Seat::Replica(mode), wanted))]);
        }
    }
}

#[test]
fn a_standby_that_takes_writes_is_left_alone_even_if_it_does_not_say_what_it_is() {
    let mut cluster = finished(&[Mode::Physical], &["trading"]);
    Event::Promote(0, 0).happen(&mut cluster);
    Event::ChangeSetting(9).happen(&mut cluster);
    let silent = blinded(&cluster.observe(), Blind::Database, &replica(1));
    let plan = cluster.plan_of(&silent);
    assert!(!plan.steps().any(|step| is_about(step, &replica(1))), "{plan:#?}");
    assert!(plan.holds.iter().any(|hold| matches!(hold.reason, Reason::NotThePrimary(_))), "{:?}", plan.holds);
}

#[test]
fn what_is_not_ours_forbids_everything() {
    let all = [Foreign::Volume(0), Foreign::Volume(1), Foreign::Container(0), Foreign::Container(1), Foreign::Network];
    for foreign in all {
        for mut cluster in [finished(&[Mode::Logical], &[]), super::generate::cluster(&[Mode::Logical], Vec::new())] {
            Event::Foreign(foreign.clone()).happen(&mut cluster);
            let plan = cluster.plan();
            assert!(plan.stages.is_empty(), "{foreign:?}: {plan:#?}");
            assert!(
                plan.holds.iter().any(|hold| matches!(hold.reason, Reason::NotOurs(_) | Reason::PrimaryDataGone(_))),
                "{foreign:?}: {:?}",
                plan.holds
            );
        }
    }
}

#[test]
fn a_replica_is_not_rebuilt_while_docker_is_at_it() {
    let mut cluster = finished(&[Mode::Logical], &["trading"]);
    cluster.desired.settings = vec![super::generate::setting(9)];
    for state in [RunState::Changing, RunState::Paused] {
        let container = cluster.world.containers.get_mut(&replica(1)).expect("it is there");
        container.seen.state = state;
        assert!(!cluster.plan().steps().any(|step| is_about(step, &replica(1))), "{state:?}");
    }
}

/// Kills a first run before the step of this label, and lets the agent look at what is there.
fn agent_after_a_run_killed_before(label: &str) -> Plan {
    let packs = super::generate::full_packs("trading").into_iter().collect();
    let mut cluster = super::generate::cluster(&[Mode::Logical], packs);
    let plan = cluster.plan();
    let cut = plan.steps().position(|step| step.label() == label).expect("a first run has it");
    cluster.run(&plan, super::Order::LINEAR, Some(cut), false).expect("steps of a fresh plan succeed");
    cluster.agents_plan()
}

#[test]
fn an_agent_that_knows_no_packs_calls_nothing_missing_that_it_did_not_look_for() {
    for (killed_before, what) in [("create_publication", "data_pub"), ("subscribe", "replica-1")] {
        let plan = agent_after_a_run_killed_before(killed_before);
        assert!(absent(&plan).is_empty(), "{plan:#?}");
        assert!(plan.holds.iter().any(|hold| hold.what == what && hold.reason == Reason::NeedsUp), "{:?}", plan.holds);
    }
}

#[test]
fn a_table_that_a_planned_migration_makes_is_not_missing() {
    let mut cluster = finished(&[Mode::Logical], &["metering"]);
    let mut pack = cluster.packs[0].clone();
    pack.migrations[1].id.number = 3;
    pack.migrations[1].sql = "table metering.more".into();
    cluster.packs[0].migrations.push(pack.migrations.remove(1));
    // Killed on the way: the primary has the migration, and the replica's record of it was lost.
    cluster.converge(super::Order::LINEAR).expect("it converges");
    let database = cluster.world.database_mut(&replica(1)).expect("it runs");
    database.migrations.retain(|row| row.id.number != 3);
    database.tables.remove(&super::world::table("metering.more"));
    let plan = cluster.plan();
    assert!(plan.steps().any(|step| step.label() == "apply_migration") && plan.holds.is_empty(), "{plan:#?}");
}

#[test]
fn a_slot_that_cannot_serve_a_new_standby_is_made_anew() {
    for is_logical in [true, false] {
        let mut cluster = finished(&[Mode::Physical], &["trading"]);
        Event::LoseReplica(0).happen(&mut cluster);
        let primary = cluster.desired.preferred_primary().name.clone();
        let slot = super::world::Slot { is_logical, lost: !is_logical };
        cluster.world.data_mut(&primary).expect("it runs").slots.insert(replica(1).slot(), slot);
        super::convergence::finish(&mut cluster, super::Order::LINEAR).expect("it is cloned");
    }
}
