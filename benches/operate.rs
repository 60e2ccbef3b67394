//! How long the everyday verbs take, and what the agent costs: printed beside the tools a user would otherwise pick.
//!
//! `make bench` runs it; nothing is asserted. Needs Docker; images are provided before the clock starts.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HYPERTIDE: &str = env!("CARGO_BIN_EXE_hypertide");
const CLUSTER: &str = "bench";

/// Runs of each measurement.
const RUNS: usize = 5;

/// How long the idle agent is watched.
const IDLE: Duration = Duration::from_secs(20);

/// From start to a healthy pair on the same kind of machine (two cores, 24 GiB), seconds.
const PEERS: [(&str, &str); 4] = [
    ("repmgr, defaults", "3.6-6.3"),
    ("Patroni 4 + etcd, tuned", "7.1-15.7"),
    ("Patroni 4 + etcd, defaults", "8.5-28.7"),
    ("pg_auto_failover, defaults", "14-19"),
];

fn main() {
    // `cargo test --benches` runs this too, and has nothing to learn from it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for mode in ["logical", "physical"] {
        let config = format!(
            "cluster: {CLUSTER}\nnodes: {{primary: {{port: 7434}}, replicas: [{{port: 7435}}]}}\nreplication: {{mode: {mode}}}\n\
             metrics: {{listen: \"127.0.0.1:7187\"}}\n"
        );
        std::fs::write(dir.path().join("hypertide.yaml"), config).unwrap();
        println!("\n{mode} replication, {RUNS} runs: median [min-max]");
        let mut up = Vec::new();
        for _ in 0..RUNS {
            run(dir.path(), &["destroy", "--yes"]);
            up.push(run(dir.path(), &["up"]));
        }
        print_seconds("up, from nothing to a healthy pair", &up);
        print_seconds("up, converged", &repeat(dir.path(), &["up"]));
        print_seconds("status", &repeat(dir.path(), &["status"]));
        if mode == "logical" {
            rows_arrive(dir.path());
            idle_agent();
            by_hand();
        }
        run(dir.path(), &["destroy", "--yes"]);
    }
    println!("\nfrom start to a healthy pair, measured with the same method, seconds");
    for (peer, seconds) in PEERS {
        println!("  {peer:<52} {seconds}");
    }
}

/// Runs a verb that must succeed and tells how long it took.
fn run(dir: &Path, args: &[&str]) -> Duration {
    let began = Instant::now();
    let output = Command::new(HYPERTIDE).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    began.elapsed()
}

fn repeat(dir: &Path, args: &[&str]) -> Vec<Duration> {
    (0..RUNS).map(|_| run(dir, args)).collect()
}

fn print_seconds(what: &str, times: &[Duration]) {
    let mut seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!("  {what:<52} {median:.3} [{:.3}-{:.3}] s", seconds[0], seconds[seconds.len() - 1]);
}

/// 100,000 rows over 60 new chunks: from the primary's commit to equality on the replica.
fn rows_arrive(dir: &Path) {
    let insert = "insert into trading.market_data (\"timestamp\", symbol, open, high, low, close, volume, source)
        select timestamptz '2024-01-04' + (i * interval '6 minutes'), 'NVDA', 1, 2, 0.5, 1.5, i, 'bench'
        from generate_series(0, 99999) i";
    run(dir, &["psql", "primary", "--", "-qc", insert]);
    let began = Instant::now();
    loop {
        let count = Command::new(HYPERTIDE)
            .args(["psql", "replica", "--", "-Atc", "select count(*) from trading.market_data"])
            .current_dir(dir)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if count.stdout == b"100000\n" {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "the rows do not arrive");
        std::thread::sleep(Duration::from_millis(50));
    }
    print_seconds("100,000 rows in 60 new chunks, commit to replica", &[began.elapsed()]);
}

/// Resident memory and processor time of the agent while nothing happens.
fn idle_agent() {
    let Some(pid) = agent_pid() else {
        println!("  the agent's process is not visible from here");
        return;
    };
    let ticks = |pid: u32| -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    let before = ticks(pid);
    std::thread::sleep(IDLE);
    // The kernel counts in hundredths of a second.
    let percent = (ticks(pid) - before) / IDLE.as_secs_f64();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
    println!("  {:<52} {resident}, {percent:.2} % of a core", "agent, idle: resident memory, processor");
    println!("  {:<52} 72 MiB + 35 MiB", "  Patroni: per node + etcd");
    println!("  {:<52} 30 MiB", "  pg_auto_failover: per node, and a monitor");
}

fn agent_pid() -> Option<u32> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        command.starts_with(b"/usr/local/bin/hypertide\0").then_some(pid)
    })
}

/// What people do without a tool: two `docker run`, `pg_isready` once a second, publication and subscription by psql.
/// It replicates no hypertable, and is here for its time only.
fn by_hand() {
    const RECIPE: &str = r#"
        image=$(docker images --format '{{.Repository}}:{{.Tag}}' hypertide/timescaledb | head -n 1)
        docker network create byhand >/dev/null
        for node in a b; do
            docker run -d --name byhand-$node --network byhand -e POSTGRES_PASSWORD=x "$image" -c wal_level=logical >/dev/null
        done
        for node in a b; do until docker exec byhand-$node pg_isready -q -h 127.0.0.1; do sleep 1; done; done
        for node in a b; do docker exec byhand-$node psql -qU postgres -c 'create table t (id int primary key)'; done
        docker exec byhand-a psql -qU postgres -c 'create publication p for table t'
        docker exec byhand-b psql -qU postgres -c "create subscription s connection 'host=byhand-a user=postgres password=x' publication p" 2>/dev/null
    "#;
    let clean = || {
        let _ = Command::new("sh")
            .args(["-c", "docker rm -fv byhand-a byhand-b; docker network rm byhand"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    };
    clean();
    let began = Instant::now();
    let done = Command::new("sh").args(["-ec", RECIPE]).stdin(Stdio::null()).output();
    let took = began.elapsed();
    clean();
    match done {
        Ok(output) if output.status.success() => {
            print_seconds("by hand: docker run, pg_isready, psql (one table)", &[took]);
        }
        _ => println!("  by hand: not measured, the docker command is not here"),
    }
}
