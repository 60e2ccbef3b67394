//! What an agent does by itself when the primary fails: killed, frozen, cut off, unable to start, and with the agent killed as well.
//! A writer counts what was acknowledged.

use std::time::{Duration, Instant};

use bollard::models::{ContainerUpdateBody, NetworkConnectRequest, NetworkDisconnectRequest};

use crate::promote::{cannot_start_again, is_whole, what_only_the_volume_has};
use crate::switchover::{Writer, all_are_there};
use crate::world::{World, docker, freeze, kills};

/// How often the primary is killed.
const KILLS: usize = 4;
/// How long a promotion takes here, with the time until it begins.
const PROMOTION: Duration = Duration::from_millis(2400);

#[tokio::test]
async fn the_agent_brings_a_primary_back_or_has_a_standby_take_its_place() {
    let world = World::new("replication: {mode: physical}\n");
    world.ok(&["up"]);
    world.sql("primary", "create table acked (id bigint primary key); grant all on acked to app");
    a_killed_one_is_back_at_once(&world).await;
    memory_that_runs_out_is_told(&world).await;
    one_that_lasts_frozen_is_started_again(&world).await;
    one_that_is_cut_off_is_attached_again(&world).await;
    what_cannot_start_is_replaced_with_all_it_wrote(&world).await;
    the_agent_may_die_in_the_middle(&world).await;
    without_a_volume_somebody_is_asked(&world).await;
}

async fn kill(container: &str) {
    docker().kill_container(container, None).await.unwrap();
}

/// The primary, and the other node.
fn nodes(world: &World) -> [&'static str; 2] {
    if world.status()["primary"] == "primary-1" { ["primary-1", "replica-1"] } else { ["replica-1", "primary-1"] }
}

/// Does something to the primary while somebody writes: no acknowledged write is lost, and one node writes and the other follows in
/// the end.
async fn survives(world: &World, harm: impl AsyncFnOnce(&str)) {
    let writer = Writer::start(world);
    let before = world.sql("primary", "select count(*) from acked");
    world.eventually("writes are acknowledged", || {
        world.sql("primary", &format!("select count(*) > 20 + {before} from acked")) == "t"
    });
    let began = Instant::now();
    harm(&world.container(nodes(world)[0])).await;
    world.eventually("one takes writes and the other follows", || world.status()["health"] == "healthy");
    eprintln!("whole again after {:?}", began.elapsed());
    let [primary, standby] = nodes(world);
    is_whole(world, primary, standby);
    let (acked, _) = writer.stop();
    all_are_there(world, &acked);
}

/// Restarted, and after the third time in a row replaced: nothing is lost either way.
async fn a_killed_one_is_back_at_once(world: &World) {
    for _ in 0..KILLS {
        survives(world, async |primary| kill(primary).await).await;
    }
}

/// PostgreSQL ends all its sessions when the kernel ends one of them, and recovers; its container lives on.
async fn memory_that_runs_out_is_told(world: &World) {
    let limit = async |bytes| {
        let update = ContainerUpdateBody { memory: Some(bytes), memory_swap: Some(bytes), ..Default::default() };
        docker().update_container(&world.container(nodes(world)[0]), update).await.unwrap();
    };
    survives(world, async |_| {
        limit(400 << 20).await;
        let greedy = world.run(&["psql", "primary", "--", "-Xc", "select length(repeat('x', 900000000))"]);
        assert_ne!(greedy.code, 0, "{}", greedy.stdout);
        // An engine takes no limit away.
        limit(64 << 30).await;
    })
    .await;
    let log = world.run(&["logs", "agent"]).stdout;
    assert!(log.contains("memory_ran_out"), "{log}");
}

async fn one_that_lasts_frozen_is_started_again(world: &World) {
    let [primary, _] = nodes(world);
    survives(world, freeze).await;
    assert!(world.run(&["logs", "agent"]).stdout.contains("its container is paused"));
    assert_eq!(nodes(world)[0], primary);
}

async fn one_that_is_cut_off_is_attached_again(world: &World) {
    let [primary, _] = nodes(world);
    let (network, container) = (format!("{}-net", world.cluster), world.container(primary));
    let off = NetworkDisconnectRequest { container: container.clone(), force: Some(true) };
    survives(world, async |_| docker().disconnect_network(&network, off).await.unwrap()).await;
    let again = NetworkConnectRequest { container, ..Default::default() };
    docker().connect_network(&network, again).await.expect_err("it is attached");
    assert_eq!(nodes(world)[0], primary);
}

async fn what_cannot_start_is_replaced_with_all_it_wrote(world: &World) {
    let began = Instant::now();
    if nodes(world)[0] != "primary-1" {
        world.ok(&["switchover", "--to", "primary-1"]);
        is_whole(world, "primary-1", "replica-1");
    }
    what_only_the_volume_has(world).await;
    is_whole(world, "replica-1", "primary-1");
    eprintln!("replaced, and back as a standby, after {:?}", began.elapsed());
    assert_eq!(world.sql("primary", "select count(*) from acked where id > 1000000"), "5000");
}

/// At whatever moment of a promotion; the next one finishes what it began, or decides upon another.
async fn the_agent_may_die_in_the_middle(world: &World) {
    let agent = world.container("agent");
    let kills = kills(4);
    for round in 1..=kills {
        cannot_start_again(world);
        let before = nodes(world);
        survives(world, async |primary| {
            kill(primary).await;
            tokio::time::sleep(PROMOTION * round / kills).await;
            kill(&agent).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            docker().start_container(&agent, None).await.unwrap();
        })
        .await;
        assert_ne!(nodes(world), before, "it cannot start");
    }
}

async fn without_a_volume_somebody_is_asked(world: &World) {
    let [primary, other] = nodes(world);
    let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
    docker().remove_container(&world.container(primary), Some(options)).await.unwrap();
    let none = None::<bollard::query_parameters::RemoveVolumeOptions>;
    docker().remove_volume(&format!("{}-data", world.container(primary)), none).await.unwrap();
    world.eventually("somebody is asked", || {
        let log = world.run(&["logs", "agent", "--tail", "20"]).stdout;
        log.contains("its volume is gone") && log.contains("no replica may be promoted")
    });
    assert_eq!(crate::switchover::role(&world.status(), other), "standby");
}
