//! A primary and a logical replica of the bench's own, with two hypertables: `bench.sparse`, a chunk per hour and few rows in
//! each, and `bench.feed`, which takes what comes now.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const HYPERTIDE: &str = env!("CARGO_BIN_EXE_hypertide");
const CLUSTER: &str = "benchrep";
pub const PRIMARY_PORT: u16 = 7444;
pub const REPLICA_PORT: u16 = 7445;
const AGENT_PORT: u16 = 7188;

/// How long anything may take before the bench gives up on it.
const PATIENCE: Duration = Duration::from_mins(15);

const SCHEMA: &str = "create schema bench;
create schema bench_chunks;
create table bench.sparse (at timestamptz, id bigint, v float8, primary key (at, id));
select create_hypertable('bench.sparse', 'at', chunk_time_interval => interval '1 hour', associated_schema_name => 'bench_chunks');
create table bench.feed (at timestamptz, id bigint, v float8, primary key (at, id));
select create_hypertable('bench.feed', 'at', chunk_time_interval => interval '1 hour', associated_schema_name => 'bench_chunks');
";

pub struct Pair {
    dir: tempfile::TempDir,
}

impl Pair {
    /// Configuration and pack; no container yet.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pack = dir.path().join("bench");
        std::fs::create_dir(&pack).unwrap();
        let manifest = "name: bench\ndescription: Rows to measure with\npublished: [bench]\nchunk_schemas: [bench_chunks]\n\
                        schemas: [bench, bench_chunks]\n";
        std::fs::write(pack.join("pack.yaml"), manifest).unwrap();
        std::fs::write(pack.join("001_bench.sql"), SCHEMA).unwrap();
        Self { dir }
    }

    /// Configures a primary, and its replica or none.
    pub fn configure(&self, has_replica: bool) {
        let replicas = if has_replica { &format!("[{{name: replica-1, port: {REPLICA_PORT}}}]") } else { "[]" };
        let config = format!(
            "cluster: {CLUSTER}\npacks: [./bench]\nmetrics: {{listen: \"127.0.0.1:{AGENT_PORT}\"}}\n\
             nodes: {{primary: {{port: {PRIMARY_PORT}}}, replicas: {replicas}}}\n"
        );
        std::fs::write(self.path().join("hypertide.yaml"), config).unwrap();
    }

    /// A new cluster instead of the one there may be.
    pub fn renew(&self, has_replica: bool) {
        self.configure(has_replica);
        self.run(&["destroy", "--yes"]);
        self.run(&["up"]);
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn passwords(&self) -> PathBuf {
        self.path().join(".hypertide/pgpass")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(HYPERTIDE);
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a verb that must succeed.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn sql(&self, node: &str, sql: &str) -> String {
        self.run(&["psql", node, "--", "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", sql])
    }

    /// Feeds psql a script; what it selects is thrown away.
    pub fn script(&self, node: &str, script: &str) {
        let mut command = self.command(&["psql", node, "--", "-qX", "-v", "ON_ERROR_STOP=1"]);
        let mut psql = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success(), "a script on {node} failed");
    }

    /// Waits until every chunk is there and copied, and all log applied.
    pub fn settle(&self) {
        self.wait_for("the mirror is complete", Duration::from_millis(500), || {
            let status: Value = serde_json::from_str(&self.run(&["--json", "status"])).unwrap();
            status["health"] == "healthy"
        });
        self.drain();
    }

    /// Waits until the replica has applied all there is.
    pub fn drain(&self) {
        let end = self.sql("primary", "select pg_current_wal_insert_lsn()");
        let applied =
            format!("select coalesce(bool_and(confirmed_flush_lsn >= '{end}'), false) from pg_replication_slots");
        self.wait_for("the log is applied", Duration::from_millis(200), || self.sql("primary", &applied) == "t");
    }

    pub fn wait_for(&self, what: &str, pause: Duration, condition: impl Fn() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", self.run(&["status"]));
            std::thread::sleep(pause);
        }
    }

    /// Insists that a table is the same on both sides.
    pub fn is_equal(&self, table: &str) {
        let fingerprint = format!("select count(*), sum(hashtextextended(t::text, 0)::numeric) from {table} t");
        assert_eq!(self.sql("primary", &fingerprint), self.sql("replica", &fingerprint), "{table} differs");
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.command(&["destroy", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

pub fn stop_agent() {
    docker(&["stop", &format!("{CLUSTER}-agent")]);
}

pub fn start_agent() {
    docker(&["start", &format!("{CLUSTER}-agent")]);
}

/// A number among the agent's metrics.
pub fn metric(name: &str) -> Option<f64> {
    let url = format!("http://127.0.0.1:{AGENT_PORT}/metrics");
    let page = Command::new("curl").args(["-sf", &url]).output().unwrap();
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn docker(args: &[&str]) {
    let done = Command::new("docker").args(args).stdout(Stdio::null()).status();
    assert!(done.expect("this bench needs the docker command").success(), "docker {args:?}");
}
