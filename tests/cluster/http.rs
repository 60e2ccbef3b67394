//! What the agent answers over HTTP, while all is well, while nodes are away, and where it listens.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::browser::Browser;
use crate::metrics::promtool_objects_to;
use crate::page;
use crate::world::{World, docker, freeze, thaw};

/// Code and body of an answer; `None` when nobody answers.
pub fn get(world: &World, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", world.agent_port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn code(world: &World, path: &str) -> u16 {
    get(world, path).map_or(0, |(code, _)| code)
}

fn eventually_code(world: &World, path: &str, wanted: u16) {
    world.eventually(&format!("{path} answers {wanted}"), || code(world, path) == wanted);
}

/// A look that was under way when something froze takes a while to give up on it, and says less or is old until then.
fn eventually_answer(world: &World, path: &str, code: u16, body: &str) {
    let wanted = Some((code, body.to_owned()));
    world.eventually(&format!("{path} answers {wanted:?}"), || get(world, path) == wanted);
}

pub fn metrics(world: &World) -> String {
    get(world, "/metrics").expect("the agent answers").1
}

#[tokio::test]
async fn the_agent_tells_over_http_how_the_cluster_is() {
    // Who is frozen here stays so.
    let world = World::new("failover: {automatic: false}\n");
    world.ok(&["up"]);
    // The agent's look may be from before the last copy was done.
    eventually_code(&world, "/replica", 200);
    what_is_well_is_told(&world);
    prometheus_understands_the_metrics(&world);
    page::something_is_found(&world);
    let mut browser = page::shows_a_healthy_cluster(&world);
    nodes_that_are_away_are_told(&world, &mut browser).await;
    the_address_is_a_port_like_any_other(&world).await;
    page::says_that_nobody_answers(&mut browser);
    a_foreground_agent_answers_and_ends_when_it_is_told_to(&world);
}

fn what_is_well_is_told(world: &World) {
    for (path, body) in [
        ("/livez", "alive\n"),
        ("/readyz", "ready\n"),
        ("/primary", "primary-1\n"),
        ("/primary?node=primary-1", "primary-1\n"),
        ("/replica", "replica-1\n"),
    ] {
        assert_eq!(get(world, path), Some((200, body.to_owned())), "{path}");
    }
    assert_eq!(code(world, "/primary?node=replica-1"), 503);
    assert_eq!(code(world, "/replica?node=nobody"), 404);
    assert_eq!(code(world, "/nowhere"), 404);

    world.eventually("both say the same of a healthy cluster", || {
        let (_, told) = get(world, "/api/v1/status").unwrap();
        let mut told: Value = serde_json::from_str(&told).unwrap();
        let keys = told.as_object_mut().unwrap();
        let observed_at = keys.remove("observed_at").unwrap();
        assert!(observed_at.as_str().unwrap().ends_with('Z'), "{observed_at}");
        assert!(keys.remove("age_seconds").unwrap().as_f64().unwrap() < 10.0);
        told["health"] == "healthy" && stable(told) == stable(world.status())
    });
}

/// The status without what moves from one second to the next.
fn stable(mut status: Value) -> Value {
    for node in status["nodes"].as_array_mut().unwrap() {
        if let Some(replication) = node["replication"].as_object_mut() {
            replication.retain(|key, _| !key.starts_with("lag_"));
            replication["slot"]["retained_bytes"] = Value::Null;
        }
    }
    status
}

fn prometheus_understands_the_metrics(world: &World) {
    let text = metrics(world);
    assert_eq!(promtool_objects_to(&text), [""; 0], "{text}");

    for sample in [
        "hypertide_up 1",
        "hypertide_cluster_health{health=\"healthy\"} 1",
        "hypertide_node_role{node=\"primary-1\",role=\"primary\"} 1",
        "hypertide_node_role{node=\"replica-1\",role=\"subscriber\"} 1",
        "hypertide_node_epoch{node=\"primary-1\"} 1",
        "hypertide_chunks_unsubscribed{node=\"replica-1\"} 0",
        "hypertide_slot_wal_status{node=\"replica-1\",status=\"reserved\"} 1",
        "hypertide_apply_errors_total{node=\"replica-1\"} 0",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
    }
    assert!(
        !text.contains("hypertide_replication_lag_bytes{node=\"primary-1\""),
        "a primary lags behind nobody\n{text}"
    );
    let printed = world.ok(&["metrics"]).stdout;
    assert!(printed.contains("hypertide_up 1\n") && printed.contains("pg_up{node=\"primary-1\"} 1\n"), "{printed}");
    let password = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    let password = password.lines().find_map(|line| line.rsplit(':').next()).unwrap();
    assert!(!text.contains(password));
}

async fn nodes_that_are_away_are_told(world: &World, browser: &mut Browser) {
    let (primary, replica) = (world.container("primary-1"), world.container("replica-1"));
    // Frozen, and not killed: the agent would have it back within a second.
    freeze(&replica).await;
    eventually_answer(world, "/replica", 503, "replica-1: its role is unknown, its container paused\n");
    assert_eq!((code(world, "/readyz"), code(world, "/primary")), (200, 200));
    let text = metrics(world);
    assert!(text.contains("hypertide_holds{reason=\"paused\"} 1\n"), "{text}");
    world.eventually("the event is counted", || {
        metrics(world)
            .lines()
            .any(|line| line.starts_with("hypertide_events_total{event=\"hold_appeared\"} ") && !line.ends_with(" 0"))
    });
    let log = world.ok(&["logs", "agent"]).stdout;
    assert!(log.contains("replica-1: the container is paused"), "{log}");
    for unknown in ["hypertide_chunks_", "hypertide_apply_errors_total"] {
        assert!(!text.contains(unknown), "{unknown} is not known\n{text}");
    }
    assert!(text.contains("hypertide_slot_retained_bytes{node=\"replica-1\"}"), "the primary knows\n{text}");

    page::follows_a_replica_that_is_away(browser);

    freeze(&primary).await;
    eventually_answer(world, "/primary", 503, "no node takes writes\n");
    assert_eq!((code(world, "/livez"), code(world, "/readyz")), (200, 200));
    let text = metrics(world);
    assert!(text.contains("hypertide_cluster_health{health=\"down\"} 1\n"), "{text}");
    for unknown in ["hypertide_node_epoch", "hypertide_slot_", "hypertide_replication_lag"] {
        assert!(!text.contains(unknown), "{unknown} is not known\n{text}");
    }
    page::follows_a_primary_that_is_away(browser);
    thaw(&primary).await;
    thaw(&replica).await;
    eventually_code(world, "/primary", 200);
    eventually_code(world, "/replica", 200);
}

async fn the_address_is_a_port_like_any_other(world: &World) {
    let before = docker().inspect_container(&world.container("agent"), None).await.unwrap().id;
    let listener = TcpListener::bind(("127.0.0.1", world.ports[3])).unwrap();
    world.configure(&format!("metrics: {{listen: \"127.0.0.1:{}\"}}\n", world.ports[3]));
    let refused = world.run(&["up", "--json"]);
    assert_eq!(refused.code, 3, "{}{}", refused.stdout, refused.stderr);
    let hold = &refused.json()["error"]["holds"][0];
    assert_eq!((&hold["reason"], &hold["what"]), (&"port_taken".into(), &world.container("agent").into()), "{hold}");
    assert!(hold["text"].as_str().unwrap().contains(&format!("(pid {})", std::process::id())), "{hold}");
    let report = world.run(&["doctor", "--json"]).json();
    let finding = format!("port {}, wanted for the agent, is held by process cluster-", world.ports[3]);
    assert!(report.to_string().contains(&finding), "{report}");
    drop(listener);

    world.configure("metrics: {listen: off}\n");
    world.ok(&["up"]);
    let agent = docker().inspect_container(&world.container("agent"), None).await.unwrap();
    assert_ne!(agent.id, before, "another address is another agent");
    let looked = world.ok(&["metrics"]);
    assert_eq!(promtool_objects_to(&looked.stdout), [""; 0], "{}", looked.stdout);
    assert!(
        looked.stdout.contains("hypertide_node_role{node=\"primary-1\",role=\"primary\"} 1\n"),
        "{}",
        looked.stdout
    );
    assert!(
        !looked.stdout.contains("hypertide_agent_") && !looked.stdout.contains("hypertide_up"),
        "{}",
        looked.stdout
    );
    assert!(looked.stderr.contains("this is one look"), "{}", looked.stderr);
    assert!(agent.host_config.unwrap().port_bindings.is_none_or(|ports| ports.is_empty()));
    assert_eq!(get(world, "/livez"), None);
}

fn a_foreground_agent_answers_and_ends_when_it_is_told_to(world: &World) {
    world.configure("");
    let log = world.dir.path().join("agent.log");
    let stderr = std::fs::File::create(&log).unwrap();
    let mut agent = world.command(&["agent", "--log-format", "json"]).stderr(stderr).spawn().unwrap();
    eventually_code(world, "/readyz", 200);
    // A second one has nowhere to answer.
    let second = world.run(&["agent"]);
    assert_eq!(second.code, 1, "{}", second.stderr);
    assert!(second.stderr.contains(&format!("cannot listen on 127.0.0.1:{}", world.agent_port)), "{}", second.stderr);
    let killed = Command::new("sh").args(["-c", &format!("kill -TERM {}", agent.id())]).status().unwrap();
    assert!(killed.success());
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    let lines: Vec<Value> =
        std::fs::read_to_string(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "agent started" && line["level"] == "INFO"), "{lines:?}");
    assert_eq!(get(world, "/livez"), None);
}
