//! Two clusters on one host, and things on it that are nobody's business.

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::RemoveVolumeOptions;

use crate::world::{World, docker};

#[tokio::test]
async fn two_clusters_live_side_by_side_and_destroying_one_leaves_the_other() {
    let (one, other) = (World::new(""), World::new("replication: {mode: physical}\npacks: []\n"));
    // One is looked after by an agent in the foreground, the other by its own container.
    one.ok(&["up", "--no-agent"]);
    let mut agent = one.command(&["agent"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    other.ok(&["up"]);
    assert_eq!(one.status()["health"], "healthy");
    assert_eq!(one.status()["agent"], "absent");
    assert_eq!(other.status()["health"], "healthy");
    one.sql("primary", "insert into trading.market_data values (now(), 'ONE', 1, 1, 1, 1, 1, 'test')");
    other.sql("primary", "create table t (id int primary key); insert into t values (7)");
    other.eventually_equal("public.t", "primary", "replica");

    // A volume and a network that only look like ours.
    let (volume, network) = (format!("{}-extra-data", one.cluster), format!("{}-extra", one.cluster));
    let request = VolumeCreateRequest { name: Some(volume.clone()), ..Default::default() };
    docker().create_volume(request).await.unwrap();
    let request = NetworkCreateRequest { name: network.clone(), ..Default::default() };
    docker().create_network(request).await.unwrap();

    let refused = one.run(&["destroy"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    one.eventually("it is untouched", || one.status()["health"] == "healthy");
    one.eventually_equal("trading.market_data", "primary", "replica");
    agent.kill().unwrap();
    agent.wait().unwrap();

    one.ok(&["destroy", "--yes"]);
    assert_eq!(one.leftovers().await, Vec::<String>::new());
    assert!(docker().inspect_volume(&volume).await.is_ok(), "nothing without the label is removed");
    assert!(docker().inspect_network(&network, None).await.is_ok(), "nothing without the label is removed");
    docker().remove_volume(&volume, None::<RemoveVolumeOptions>).await.unwrap();
    docker().remove_network(&network).await.unwrap();

    assert_eq!(other.status()["health"], "healthy");
    assert_eq!(other.sql("replica", "select id from t"), "7");
    // Nothing is left to destroy, and saying so is no failure.
    one.ok(&["destroy", "--yes"]);
}
