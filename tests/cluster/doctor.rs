//! What `doctor` finds on a host without an engine, and on a cluster with and without faults.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::world::{Run, World, docker};

/// Texts of one check's findings, with their severity in front.
fn found(report: &Value, check: &str) -> Vec<String> {
    let findings = report["findings"].as_array().expect("a list of findings");
    findings
        .iter()
        .filter(|finding| finding["check"] == check)
        .map(|finding| format!("{} {}", finding["severity"].as_str().unwrap(), finding["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn without_an_engine_the_rest_of_the_host_is_still_examined() {
    let world = World::without_image("");
    let _held = TcpListener::bind(("127.0.0.1", world.ports[0])).unwrap();
    let examine = |docker_host: &str| {
        let mut command = world.command(&["doctor", "--json"]);
        Run::of(&command.env("DOCKER_HOST", docker_host).output().unwrap())
    };
    let run = examine("unix:///nonexistent/docker.sock");
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let report = run.json();
    assert_eq!(report["healthy"], false);
    let engine = found(&report, "engine");
    let wanted = "problem there is no Docker socket at unix:///nonexistent/docker.sock (from DOCKER_HOST)";
    assert_eq!(engine, [wanted]);
    let ports = found(&report, "ports");
    assert!(ports[0].contains("is held by process cluster-"), "{ports:?}");
    assert!(ports[0].contains(&format!("(pid {})", std::process::id())), "{ports:?}");
    assert!(ports[1].starts_with("ok ") && ports[1].ends_with("is free for replica-1"), "{ports:?}");
    assert!(!found(&report, "disk").is_empty() && !found(&report, "config").is_empty());

    world.configure("bind: here\n");
    let run = examine("unix:///nonexistent/docker.sock");
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(found(&run.json(), "config")[0].contains("line 3: bind: "), "{}", run.stdout);
}

#[tokio::test]
async fn a_healthy_cluster_is_well_and_each_fault_is_found() {
    let world = World::new("");
    world.ok(&["up"]);
    let report = world.json(&["doctor"]);
    assert_eq!(report["healthy"], true, "{report}");
    for check in ["engine", "ports", "image", "volumes", "server", "settings", "clock", "cluster", "passwords", "agent"]
    {
        let found = found(&report, check);
        assert!(!found.is_empty() && found.iter().all(|it| it.starts_with("ok ")), "{check}: {found:?}");
    }

    world.sql("primary", "alter database trading_data set work_mem = '64MB'");
    std::fs::set_permissions(world.state_dir().join("pgpass"), PermissionsExt::from_mode(0o644)).unwrap();
    docker().stop_container(&world.container("agent"), None).await.unwrap();
    let run = world.run(&["doctor", "--json"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    let report = run.json();
    assert!(found(&report, "settings")[0].contains("work_mem is 64MB (from database), not 4MB"), "{report}");
    assert!(found(&report, "passwords")[0].contains("has mode 0644"), "{report}");
    assert!(found(&report, "agent")[0].contains("does not run"), "{report}");
    assert!(world.run(&["doctor"]).stdout.contains("\n2 problems, "), "{report}");
}
