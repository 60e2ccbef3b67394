//! What the agent has of its host, so that it can do what the backup jobs say.

use hypertide::docker::engine::Engine;

use crate::shared::shared;
use crate::world::docker;

#[tokio::test]
async fn the_agent_has_a_volume_of_its_own_and_the_stores_of_its_jobs_where_they_are() {
    let world = shared();
    let store = world.dir.path().join("store");
    let inspected = docker().inspect_container(&world.container("agent"), None).await.unwrap();
    let mounts = inspected.mounts.unwrap();
    let at = |path: &str| mounts.iter().find(|mount| mount.destination.as_deref() == Some(path));
    let volume = at("/var/lib/hypertide").unwrap().name.clone().unwrap();
    assert_eq!(volume, format!("{}-agent-data", world.cluster));
    let labels = docker().inspect_volume(&volume).await.unwrap().labels;
    assert_eq!(labels["hypertide.cluster"], world.cluster, "or `destroy` would leave it behind");
    assert_eq!(at(store.to_str().unwrap()).unwrap().source.as_deref(), store.to_str());

    let engine = Engine::connect().await.unwrap();
    std::fs::write(store.join("from-the-host"), "bytes").unwrap();
    let seen =
        engine.read_file(&world.container("agent"), store.join("from-the-host").to_str().unwrap()).await.unwrap();
    std::fs::remove_file(store.join("from-the-host")).unwrap();
    assert_eq!(seen.as_deref(), Some(b"bytes".as_slice()));
    // Nothing is left to do: the same parts make the same agent.
    world.is_converged();
}
