//! Whatever is wrong is said at once, clearly, with help, and nothing is touched.

use std::net::TcpListener;

use bollard::models::{ContainerCreateBody, VolumeCreateRequest};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions};
use hypertide::docker::image;
use std::collections::HashMap;

use crate::world::{Run, World, docker};

fn is_clear(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.starts_with("error: ") || run.stderr.contains("\nerror: "), "{}", run.stderr);
    assert!(run.stderr.contains("help: "), "{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "`{word}` is missing in: {}", run.stderr);
    }
}

#[test]
fn every_mistake_in_the_configuration_is_told_in_one_run() {
    let world = World::without_image("");
    std::fs::write(
        world.config(),
        "clutser: x\ndatabase: 7\nnodes:\n  primary: {name: Primary_1, port: 70000}\n  replicas:\n    - {name: replica, \
         port: 5435}\n    - {name: r2, port: 5435, replication: fysical}\n",
    )
    .unwrap();
    for verb in [&["up"][..], &["up", "--plan"], &["status"], &["destroy", "--yes"]] {
        let run = world.run(verb);
        is_clear(&run, 2, &["clutser", "cluster", "70000", "Primary_1", "replica", "5435", "fysical", "physical"]);
    }
    let error = world.run(&["--json", "up"]).json();
    assert_eq!(error["error"]["exit_code"], 2, "{error}");
    std::fs::remove_file(world.config()).unwrap();
    is_clear(&world.run(&["up"]), 2, &["hypertide.yaml"]);
    assert_eq!(world.run(&["frobnicate"]).code, 2);
}

#[test]
fn what_shells_and_manuals_want_needs_neither_docker_nor_configuration() {
    let world = World::without_image("nonsense: true\n");
    for (verb, word) in [(&["completions", "bash"][..], "_hypertide"), (&["man"], ".TH hypertide")] {
        let output = world.command(verb).env("DOCKER_HOST", "unix:///nonexistent/docker.sock").output().unwrap();
        let run = Run::of(&output);
        assert!(run.code == 0 && run.stdout.contains(word), "{verb:?}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn docker_that_is_not_there_is_said_so() {
    let world = World::without_image("");
    let output = world.command(&["up"]).env("DOCKER_HOST", "unix:///nonexistent/docker.sock").output().unwrap();
    is_clear(&Run::of(&output), 2, &["Docker"]);
}

#[test]
fn an_image_that_does_not_exist_is_said_so_and_nothing_is_made() {
    let world = World::without_image("image: \"no-such-registry.invalid/none:1\"\n");
    let run = world.run(&["up"]);
    is_clear(&run, 2, &["no-such-registry.invalid/none:1"]);
    assert!(world.json(&["up", "--plan"])["steps"].as_array().unwrap().len() > 20, "everything is still to be done");
}

#[tokio::test]
async fn an_image_without_the_extension_is_refused_before_anything_is_touched() {
    let world = World::new("image: \"debian:trixie-slim\"\n");
    is_clear(&world.run(&["up"]), 3, &["debian:trixie-slim", "PostgreSQL"]);
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_port_that_somebody_holds_is_refused_with_the_holders_name() {
    let world = World::new("");
    let holder = TcpListener::bind(("127.0.0.1", world.ports[1])).unwrap();
    let run = world.run(&["up"]);
    is_clear(&run, 3, &[&world.ports[1].to_string(), &format!("pid {}", std::process::id())]);
    assert_eq!(world.leftovers().await, Vec::<String>::new());
    drop(holder);
}

#[tokio::test]
async fn containers_and_volumes_of_our_name_that_are_not_ours_are_never_touched() {
    let world = World::new("");
    let container = world.container("replica-1");
    let options = CreateContainerOptionsBuilder::default().name(&container).build();
    let body = ContainerCreateBody { image: Some(image::bundled_reference()), ..Default::default() };
    let id = docker().create_container(Some(options), body).await.unwrap().id;
    is_clear(&world.run(&["up"]), 3, &["replica-1", "container"]);
    assert_eq!(docker().inspect_container(&container, None).await.unwrap().id, Some(id));
    assert_eq!(world.leftovers().await, Vec::<String>::new());
    let remove = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    docker().remove_container(&container, Some(remove)).await.unwrap();

    let volume = format!("{}-primary-1-data", world.cluster);
    let request = VolumeCreateRequest { name: Some(volume.clone()), ..Default::default() };
    docker().create_volume(request).await.unwrap();
    is_clear(&world.run(&["up"]), 3, &["primary-1", "volume"]);
    world.ok(&["destroy", "--yes"]);
    assert!(docker().inspect_volume(&volume).await.is_ok());
    docker().remove_volume(&volume, None::<RemoveVolumeOptions>).await.unwrap();
}

#[tokio::test]
async fn a_volume_of_another_version_is_refused() {
    for (label, value, word) in
        [("hypertide.postgres", "16", "PostgreSQL 16"), ("hypertide.timescaledb", "2.14.2", "TimescaleDB 2.14.2")]
    {
        let world = World::new("");
        let labels = HashMap::from([
            ("hypertide.cluster".to_owned(), world.cluster.clone()),
            ("hypertide.node".to_owned(), "primary-1".to_owned()),
            ("hypertide.seat".to_owned(), "primary".to_owned()),
            ("hypertide.port".to_owned(), world.ports[0].to_string()),
            (label.to_owned(), value.to_owned()),
        ]);
        let name = format!("{}-primary-1-data", world.cluster);
        let request = VolumeCreateRequest { name: Some(name.clone()), labels: Some(labels), ..Default::default() };
        docker().create_volume(request).await.unwrap();
        is_clear(&world.run(&["up"]), 3, &[word]);
        assert_eq!(world.leftovers().await, vec![format!("volume {name}")], "nothing was made, nothing removed");
    }
}

#[tokio::test]
async fn a_primary_whose_volume_is_gone_is_not_made_again_over_a_replica_that_has_the_data() {
    let world = World::new("");
    world.ok(&["up"]);
    world.ok(&["down"]);
    let remove = RemoveContainerOptionsBuilder::default().force(true).build();
    docker().remove_container(&world.container("primary-1"), Some(remove)).await.unwrap();
    docker().remove_volume(&format!("{}-primary-1-data", world.cluster), None::<RemoveVolumeOptions>).await.unwrap();
    is_clear(&world.run(&["up"]), 3, &["primary-1", "replica-1"]);

    // A node whose kind was changed in the configuration is refused as well.
    let world = World::new("");
    world.ok(&["up", "--no-agent"]);
    world.configure("replication: {mode: physical}\n");
    is_clear(&world.run(&["up"]), 3, &["replica-1", "logical", "physical"]);
    is_clear(&world.run(&["psql", "nobody"]), 2, &["nobody", "primary-1"]);
    is_clear(&world.run(&["replica", "add", "primary"]), 2, &["primary"]);
}
