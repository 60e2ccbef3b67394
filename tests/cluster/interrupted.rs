//! Killed in the middle: the next `up` completes what is there.

use std::time::Duration;

use bollard::query_parameters::{KillContainerOptionsBuilder, ListContainersOptionsBuilder};

use crate::world::{World, docker};

/// How many times a run is killed before it may finish; moments are spread over the whole of it.
const KILLS: u64 = 8;

#[tokio::test]
async fn up_that_is_killed_at_any_moment_is_completed_by_the_next() {
    let world = World::new("");
    world.configure(&format!(
        "nodes: {{primary: {{port: {}}}, replicas: [{{port: {}}}, {{port: {}, replication: physical}}]}}\n",
        world.ports[0], world.ports[1], world.ports[2]
    ));
    for kill in 0..KILLS {
        let mut child = world.command(&["up"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        // The moment matters, not its length: later kills come later in the run.
        tokio::time::sleep(Duration::from_millis(150 + 350 * kill)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        if kill % 2 == 1 {
            kill_one_container(&world, kill).await;
        }
    }
    world.ok(&["up"]);
    let status = world.status();
    assert_eq!(status["health"], "healthy", "{status}");
    assert_eq!(status["nodes"][1]["role"], "subscriber");
    assert_eq!(status["nodes"][2]["role"], "standby");
    world.sql("primary", "insert into trading.market_data values (now(), 'A', 1, 1, 1, 1, 1, 'test')");
    world.eventually_equal("trading.market_data", "primary", "replica-1");
    world.eventually_equal("trading.market_data", "primary", "replica-2");
    world.is_converged();
    let helpers = world.leftovers().await.iter().filter(|found| found.starts_with("container")).count();
    assert_eq!(helpers, 4, "three nodes and the agent; no helper is left over");
}

/// Kills a running container of the cluster, as a crash in mid-initialisation would.
async fn kill_one_container(world: &World, turn: u64) {
    let label = format!("hypertide.cluster={}", world.cluster);
    let filters = std::collections::HashMap::from([("label", vec![label.as_str()])]);
    let list = ListContainersOptionsBuilder::default().filters(&filters).build();
    let running = docker().list_containers(Some(list)).await.unwrap();
    if let Some(container) = running.get(usize::try_from(turn).unwrap() % running.len().max(1)) {
        let kill = KillContainerOptionsBuilder::default().signal("KILL").build();
        // It may have ended by itself in the meantime.
        let _ = docker().kill_container(container.id.as_deref().unwrap(), Some(kill)).await;
    }
}
