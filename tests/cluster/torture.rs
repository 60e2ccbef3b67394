//! Everything at once: four writers, hundreds of chunks, restarts, a killed agent, a cut link. The status may say "not
//! yet" as long as it likes; it may never say "complete" while a row is missing.

use std::time::{Duration, Instant, SystemTime};

use bollard::Docker;
use bollard::models::{NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptionsBuilder, RestartContainerOptionsBuilder, StartContainerOptions,
};
use futures_util::future::{join, join_all};

use crate::world::{World, docker, write};

#[path = "torture/claims.rs"]
mod claims;
#[path = "torture/storm.rs"]
mod storm;

use claims::Claims;
use storm::{HYPERTABLES, Storm, WRITERS};

/// Chunks there must be at the end, at least.
const CHUNKS: u64 = 600;

/// Marks that are written between two blows.
const CALM: usize = 250;

/// Hours of rows that come with each blow: four chunks in each.
const HOURS: u64 = 34;

/// Times the status must have said complete, rightly, before the next blow.
const CLAIMS: usize = 3;

/// How long the link is cut.
const CUT: Duration = Duration::from_secs(10);

/// How long one blow may take to pass; other tests may be using the machine.
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::test]
async fn nothing_is_called_complete_that_is_not_and_in_the_end_all_is_equal() {
    let seed = match std::env::var("HYPERTIDE_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(),
    };
    eprintln!("again with HYPERTIDE_TEST_SEED={seed}");
    let world = World::new("packs: [./storm]\n");
    write(&world, "storm/pack.yaml", storm::MANIFEST);
    write(&world, "storm/001_storm.sql", storm::SCHEMA);
    world.ok(&["up"]);

    let began = Instant::now();
    let (storm, claims) = (Storm::new(&world), Claims::default());
    let writers = join_all((0..WRITERS).map(|writer| storm.write(writer, seed)));
    let blows = async {
        blows(&world, &storm, &claims).await;
        storm.stop();
    };
    join(join(writers, claims.check(&world, &storm)), blows).await;
    eprintln!("{} marks, {claims}, {:.0} s", storm.marks(), began.elapsed().as_secs_f64());

    world.eventually("the cluster is healthy", || world.status()["health"] == "healthy");
    for hypertable in HYPERTABLES {
        world.eventually_equal(hypertable, "primary", "replica");
        let chunks = |node| world.sql(node, &storm::chunks(hypertable));
        assert_eq!(chunks("primary"), chunks("replica"), "chunks of {hypertable}");
    }
    let chunks = &world.status()["nodes"][1]["replication"]["chunks"];
    assert!(chunks["published"].as_u64().unwrap() >= CHUNKS, "{chunks}");
    for missing in ["unpublished", "unsubscribed", "not_ready"] {
        assert_eq!(chunks[missing], 0, "{chunks}");
    }
    let marks: usize =
        HYPERTABLES.map(|table| world.sql("replica", &storm::count(table)).parse().unwrap()).iter().sum();
    assert!(marks >= storm.marks(), "{marks} of {} acknowledged rows are there", storm.marks());
}

/// One blow after the other; writers and the agent never stop for it.
async fn blows(world: &World, storm: &Storm<'_>, claims: &Claims) {
    let docker = docker();
    let (primary, replica, agent) =
        (world.container("primary-1"), world.container("replica-1"), world.container("agent"));
    storm.reach(HOURS);
    calm("at the beginning", storm, claims).await;

    storm.reach(2 * HOURS);
    docker.restart_container(&replica, None).await.unwrap();
    calm("after the subscriber's restart", storm, claims).await;

    // Without time for a checkpoint: what was acknowledged has to come out of the log.
    storm.reach(3 * HOURS);
    let at_once = RestartContainerOptionsBuilder::default().t(0).build();
    docker.restart_container(&primary, Some(at_once)).await.unwrap();
    calm("after the publisher's crash", storm, claims).await;

    storm.reach(4 * HOURS);
    let kill = KillContainerOptionsBuilder::default().signal("KILL").build();
    docker.kill_container(&agent, Some(kill)).await.unwrap();
    storm.goes_on(CALM).await;
    docker.start_container(&agent, None::<StartContainerOptions>).await.unwrap();
    calm("after the agent's death", storm, claims).await;

    storm.reach(5 * HOURS);
    let network = format!("{}-net", world.cluster);
    let mend = cut(&docker, &network, &replica).await;
    tokio::time::sleep(CUT).await;
    docker.connect_network(&network, mend).await.unwrap();
    calm("after the cut", storm, claims).await;

    let began = Instant::now();
    while storm.chunks().await.is_none_or(|chunks| chunks < CHUNKS) {
        assert!(began.elapsed() < PATIENCE, "the writers made too few chunks");
        storm.goes_on(CALM).await;
    }
}

/// Some more rows, and a status afterwards that says complete; more than once, while rows go on coming.
async fn calm(when: &str, storm: &Storm<'_>, claims: &Claims) {
    storm.goes_on(CALM).await;
    let (began, before) = (Instant::now(), claims.checked());
    while claims.checked() < before + CLAIMS {
        assert!(began.elapsed() < PATIENCE, "{when} nothing was called complete any more: {}", claims.last());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("{when}: complete within {:.1} s, {claims}", began.elapsed().as_secs_f64());
}

/// Takes a container off its network, and tells how it gets back.
async fn cut(docker: &Docker, network: &str, container: &str) -> NetworkConnectRequest {
    let seen = docker.inspect_container(container, None::<InspectContainerOptions>).await.unwrap();
    let mut endpoints = seen.network_settings.unwrap().networks.unwrap();
    let aliases = endpoints.remove(network).unwrap().aliases;
    let off = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
    docker.disconnect_network(network, off).await.unwrap();
    let endpoint = bollard::models::EndpointSettings { aliases, ..Default::default() };
    NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(endpoint) }
}
