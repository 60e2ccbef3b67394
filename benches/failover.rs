//! How long nobody can write when the primary dies, cannot be started again, or gives its place up by plan, beside what other tools
//! took: one client inserts 200 rows a second.
//!
//! `make bench-failover` runs it; nothing is asserted but that no acknowledged row is lost. Needs Docker and its command.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

const HYPERTIDE: &str = env!("CARGO_BIN_EXE_hypertide");
const CLUSTER: &str = "benchfail";
const PORT: u16 = 7634;

/// The port of the replica, and of the endpoint for writes and for reads.
const OTHER: u16 = 7635;
const ENDPOINT: [u16; 2] = [7636, 7637];

/// How often the primary is killed, killed such that it cannot be started again, and changed by plan.
const KILLS: usize = 20;
const REPLACED: usize = 6;
const SWITCHOVERS: usize = 20;

/// Between two inserts.
const PACE: Duration = Duration::from_millis(5);

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(5);

/// How long writers go on between two kills.
const BETWEEN: Duration = Duration::from_secs(3);

/// No change takes longer than this with the return of the old primary, or something is wrong.
const PATIENCE: Duration = Duration::from_mins(2);

/// The same measured with others: seconds without a write.
const KILLED: [(&str, &str); 3] =
    [("pg_auto_failover", "53.9"), ("Patroni 4 + etcd", "22.8-29"), ("wanted: median, most", "0.8, 2")];
const CHANGED: [(&str, &str); 3] =
    [("repmgr", "0.35"), ("Patroni 4 + etcd", "1.4, with errors"), ("wanted: physical, logical", "0.10, 0.5")];

fn main() {
    // `cargo test --benches` runs this too, and has nothing to learn from it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for mode in ["logical", "physical"] {
        up(dir.path(), mode);
        let outages = outages(dir.path(), KILLS, &[PORT, OTHER], |_| {
            kill(&primary(dir.path()));
            std::thread::sleep(BETWEEN);
        });
        tell(&format!("{mode}, primary killed {KILLS} times"), &outages);
        others(&KILLED);
        switchovers(dir.path(), mode);
        hypertide(dir.path(), &["destroy", "--yes"]);
    }
    up(dir.path(), "physical");
    let replaced = outages(dir.path(), REPLACED, &[PORT, OTHER], |_| {
        let broken = "cat >/dev/null && echo broken >>/var/lib/postgresql/data/pgdata/postgresql.auto.conf";
        let sql = format!("copy (select 1 where false) to program '{broken}'");
        hypertide(dir.path(), &["psql", "primary", "--", "-qXc", &sql]);
        let before = primary(dir.path());
        kill(&before);
        whole(dir.path(), Some(&before));
    });
    tell(&format!("physical, primary killed {REPLACED} times and unable to start"), &replaced);
    println!("  {:<24} 1.5 s", "wanted");
    hypertide(dir.path(), &["destroy", "--yes"]);
}

/// Back and forth, under a client of the endpoint.
fn switchovers(dir: &Path, mode: &str) {
    whole(dir, None);
    let changed = outages(dir, SWITCHOVERS, &ENDPOINT[..1], |_| {
        hypertide(dir, &["switchover"]);
        whole(dir, None);
    });
    tell(&format!("{mode}, {SWITCHOVERS} switchovers"), &changed);
    others(&CHANGED);
}

fn tell(what: &str, outages: &[Duration]) {
    let mut seconds: Vec<f64> = outages.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    println!(
        "{what}: last ack before to first ack after {:.2} [{:.2}-{:.2}] s",
        seconds[seconds.len() / 2],
        seconds[0],
        seconds[seconds.len() - 1]
    );
}

fn others(figures: &[(&str, &str)]) {
    for (who, seconds) in figures {
        println!("  {who:<24} {seconds} s");
    }
}

fn up(dir: &Path, mode: &str) {
    let [write, read] = ENDPOINT;
    let config = format!(
        "cluster: {CLUSTER}\npacks: []\nnodes: {{primary: {{port: {PORT}}}, replicas: [{{port: {OTHER}}}]}}\n\
         endpoint: {{read_write: {write}, read_only: {read}}}\n\
         replication: {{mode: {mode}}}\nmetrics: {{listen: \"127.0.0.1:7387\"}}\n"
    );
    std::fs::write(dir.join("hypertide.yaml"), config).unwrap();
    hypertide(dir, &["destroy", "--yes"]);
    hypertide(dir, &["up"]);
    // On both sides of a logical replication, as a migration would make it.
    let make =
        "set transaction read write; create table acked (id bigint primary key); grant insert, select on acked to app";
    for node in if mode == "logical" { &["primary", "replica"][..] } else { &["primary"] } {
        hypertide(dir, &["psql", node, "--", "-1qXc", make]);
    }
    // The first table of a published schema.
    hypertide(dir, &["up"]);
    whole(dir, None);
}

fn hypertide(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(HYPERTIDE).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn status(dir: &Path) -> serde_json::Value {
    // While nobody is the primary it ends with another code.
    let output = Command::new(HYPERTIDE).args(["--json", "status"]).current_dir(dir).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The primary's container.
fn primary(dir: &Path) -> String {
    let began = Instant::now();
    loop {
        let seen = status(dir);
        if let Some(name) = seen["primary"].as_str() {
            return format!("{CLUSTER}-{name}");
        }
        assert!(began.elapsed() < PATIENCE, "{seen}");
        std::thread::sleep(RETRY);
    }
}

fn kill(container: &str) {
    let kill = Command::new("docker").args(["kill", "-s", "KILL", container]).stdout(Stdio::null()).status();
    assert!(kill.unwrap().success());
}

/// Waits until all nodes are well, and another than this is the primary.
fn whole(dir: &Path, not: Option<&str>) {
    let began = Instant::now();
    loop {
        let seen = status(dir);
        let primary = seen["primary"].as_str().map(|name| format!("{CLUSTER}-{name}"));
        if seen["health"] == "healthy" && primary.is_some() && primary.as_deref() != not {
            std::thread::sleep(BETWEEN);
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{seen}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What a writer was told.
#[derive(Default)]
struct Written {
    ids: Vec<i64>,
    acks: Vec<Instant>,
    errors: usize,
}

/// Does harm so many times while somebody writes to one of these ports; gives the longest silence of each time.
fn outages(dir: &Path, times: usize, ports: &[u16], harm: impl Fn(usize)) -> Vec<Duration> {
    let stop = Arc::new(AtomicBool::new(false));
    let passwords = std::fs::read_to_string(dir.join(".hypertide/pgpass")).unwrap();
    let password = passwords.lines().find_map(|line| line.strip_prefix("*:*:*:app:")).unwrap().to_owned();
    let (stopped, ports) = (stop.clone(), ports.to_vec());
    let first: i64 =
        hypertide(dir, &["psql", "primary", "--", "-AtqXc", "select coalesce(max(id), 0) from acked"]).parse().unwrap();
    let writing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(write(&password, &ports, first, &stopped))
    });
    std::thread::sleep(BETWEEN);
    let mut turns = vec![Instant::now()];
    for turn in 0..times {
        harm(turn);
        turns.push(Instant::now());
    }
    stop.store(true, Ordering::Relaxed);
    let written = writing.join().unwrap();
    let there = hypertide(dir, &["psql", "primary", "--", "-AtqXc", "select id from acked"]);
    let there: std::collections::HashSet<i64> = there.lines().map(|id| id.parse().unwrap()).collect();
    let lost = written.ids.iter().filter(|id| !there.contains(id)).count();
    assert_eq!(lost, 0, "acknowledged rows are lost");
    println!("{} errors of the client", written.errors);
    let silence = |turn: &[Instant]| {
        let within = written.acks.windows(2).filter(|pair| pair[1] > turn[0] && pair[0] < turn[1]);
        within.map(|pair| pair[1] - pair[0]).max().expect("writing went on")
    };
    turns.windows(2).map(silence).collect()
}

async fn write(password: &str, ports: &[u16], first: i64, stop: &AtomicBool) -> Written {
    let (mut written, mut id) = (Written::default(), first);
    let mut client: Option<Client> = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &client else {
            client = connect(password, ports).await;
            if client.is_none() {
                tokio::time::sleep(RETRY).await;
            }
            continue;
        };
        // An id whose answer was lost is not tried again: it may be there.
        id += 1;
        if open.execute("insert into acked values ($1)", &[&id]).await.is_ok() {
            written.ids.push(id);
            written.acks.push(Instant::now());
            tokio::time::sleep(PACE).await;
        } else {
            written.errors += 1;
            client = None;
        }
    }
    written
}

/// To whichever takes writes, as libpq does with several hosts.
async fn connect(password: &str, ports: &[u16]) -> Option<Client> {
    let mut config = Config::new();
    config.user("app").password(password).dbname("trading_data").target_session_attrs(TargetSessionAttrs::ReadWrite);
    for port in ports {
        config.host("127.0.0.1").port(*port);
    }
    let (client, connection) = tokio::time::timeout(Duration::from_secs(1), config.connect(NoTls)).await.ok()?.ok()?;
    tokio::spawn(connection);
    Some(client)
}
