//! What a backup costs beside PostgreSQL's own tools on the same rows, in turn, in one run. `make bench` runs it; nothing is
//! asserted. Needs Docker and its command.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "../tests/s3/server.rs"]
#[allow(dead_code, clippy::wildcard_imports)]
mod server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};

const HYPERTIDE: &str = env!("CARGO_BIN_EXE_hypertide");
const CLUSTER: &str = "benchbackup";

/// Runs of each measurement; the ways take turns, so that a busy moment hits all of them.
const RUNS: usize = 5;

/// Most memory of our process that is wanted, in MiB.
const WANTED_MEMORY: u64 = 64;

/// What pgBackRest took for such a database on such a machine when this was begun: as it comes, and tuned.
const PGBACKREST_QUOTED: &str = "43 s as it comes, 6.9 s tuned";

/// About a gigabyte in 50 chunks.
const ROWS: &str = "
    create table bars (ts timestamptz not null, symbol text not null, exchange text not null, open numeric(18, 8),
      high numeric(18, 8), low numeric(18, 8), close numeric(18, 8), volume numeric(24, 8), trades int, meta jsonb,
      primary key (symbol, exchange, ts));
    select create_hypertable('bars', by_range('ts', interval '1 day'));
    insert into bars select timestamptz '2026-01-01' + i * interval '0.72 second', 'SYM' || i % 50,
      (array['binance', 'kraken', 'okx'])[1 + i % 3], 100 + (i % 1000) * 0.01234567, 101 + (i % 1000) * 0.0123,
      99 + (i % 997) * 0.0123, 100 + (i % 991) * 0.01234, (i % 100000) * 1.2345678, i % 1000, null
      from generate_series(1, 5999999) i;
    vacuum analyze bars; checkpoint";

/// Where ours goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Disk,
    S3,
}

/// One way to make a backup.
enum Way {
    /// A program of PostgreSQL's, beside the server, over its socket. Those after it are compared with it.
    Raw(&'static str),
    /// `backup run` with these options; and how much of the raw one's time it may take, percent.
    Ours { name: &'static str, options: &'static str, to: To, wanted: Option<u32> },
}

/// Fingerprints of an earlier run are forgotten before a run with this among its options.
const FIRST: &str = "first";

const WAYS: &[Way] = &[
    Way::Raw("pg_dump -Fc -Z zstd:3 -f /tmp/raw -d trading_data"),
    Way::Ours {
        name: "full, without fingerprints",
        options: "--kind full --no-fingerprints",
        to: To::Disk,
        wanted: Some(105),
    },
    Way::Ours { name: "full, first time", options: "--kind full first", to: To::Disk, wanted: Some(150) },
    Way::Ours { name: "full, later", options: "--kind full", to: To::Disk, wanted: Some(110) },
    Way::Ours {
        name: "full to S3, without fingerprints",
        options: "--kind full --no-fingerprints",
        to: To::S3,
        wanted: Some(115),
    },
    Way::Raw("pg_dump -Fd -j2 -Z zstd -f /tmp/raw -d trading_data"),
    Way::Ours {
        name: "full, two connections, without fingerprints",
        options: "--kind full --parallel 2 --no-fingerprints",
        to: To::Disk,
        wanted: Some(100),
    },
    Way::Ours { name: "full, two connections, later", options: "--kind full --parallel 2", to: To::Disk, wanted: None },
    Way::Raw("pg_basebackup -D /tmp/raw -Ft -c fast -X fetch --compress=server-zstd:3"),
    Way::Ours {
        name: "base, without fingerprints",
        options: "--kind base --no-fingerprints",
        to: To::Disk,
        wanted: Some(105),
    },
    Way::Ours { name: "base, later", options: "--kind base", to: To::Disk, wanted: None },
];

/// What a run took, and the most memory its process had at a time, in KiB.
#[derive(Clone, Copy)]
struct Taken {
    time: Duration,
    peak: u64,
}

fn main() {
    // `cargo test --benches` runs this too, and has nothing to learn from it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "cluster: {CLUSTER}\nnodes: {{primary: {{port: 7534}}, replicas: []}}\npacks: []\nmetrics: {{listen: \"127.0.0.1:7287\"}}\n"
    );
    std::fs::write(dir.path().join("hypertide.yaml"), config).unwrap();
    hypertide(dir.path(), &["destroy", "--yes"]);
    hypertide(dir.path(), &["up"]);
    println!("loading about 1 GB");
    for statement in ROWS.split(';') {
        hypertide(dir.path(), &["psql", "primary", "--", "-qXc", statement]);
    }
    let mut taken: Vec<Vec<Taken>> = WAYS.iter().map(|_| Vec::new()).collect();
    for _ in 0..RUNS {
        for (way, taken) in WAYS.iter().zip(&mut taken) {
            taken.push(match way {
                Way::Raw(command) => raw(command),
                Way::Ours { options, to, .. } => ours(dir.path(), options, *to),
            });
        }
    }
    print(&taken);
    hypertide(dir.path(), &["destroy", "--yes"]);
}

fn print(taken: &[Vec<Taken>]) {
    println!("\n{RUNS} runs in turn, the agent running: median [min-max] s");
    let mut raw = 0.0;
    for (way, taken) in WAYS.iter().zip(taken) {
        let mut seconds: Vec<f64> = taken.iter().map(|taken| taken.time.as_secs_f64()).collect();
        seconds.sort_by(f64::total_cmp);
        let (least, median, most) = (seconds[0], seconds[RUNS / 2], seconds[RUNS - 1]);
        let peak = taken.iter().map(|taken| taken.peak).max().unwrap_or_default() / 1024;
        let (name, compared) = match way {
            Way::Raw(command) => {
                raw = median;
                (command.split(" -f ").next().unwrap(), String::new())
            }
            Way::Ours { name, wanted, .. } => {
                let wanted = wanted.map(|wanted| format!(" (at most {wanted} % wanted)")).unwrap_or_default();
                (*name, format!(", {:.0} %{wanted}, {peak} MiB resident", 100.0 * median / raw))
            }
        };
        println!("  {name:<46} {median:.2} [{least:.2}-{most:.2}]{compared}");
    }
    println!("  {:<46} {PGBACKREST_QUOTED}", "pgBackRest, measured when the project was begun");
    println!("  at most {WANTED_MEMORY} MiB of memory are wanted");
}

/// Runs a verb that must succeed.
fn hypertide(dir: &Path, args: &[&str]) {
    let output = Command::new(HYPERTIDE).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn ours(dir: &Path, options: &str, to: To) -> Taken {
    if options.contains(FIRST) {
        hypertide(dir, &["psql", "primary", "--", "-qXc", "truncate hypertide.chunk_fingerprint"]);
    }
    // A store of its own each time: the next one finds nothing to build upon.
    let store = tempfile::tempdir().unwrap();
    let server = (to == To::S3).then(Server::start);
    let mut command = Command::new(HYPERTIDE);
    command.args(["backup", "run"]).args(options.split(' ').filter(|option| *option != FIRST));
    if let Some(server) = &server {
        command.args(["--store", &format!("s3://{BUCKET}/bench"), "--s3-path-style", "--s3-region", "us-east-1"]);
        command.args(["--s3-endpoint", &server.endpoint()]);
        command.envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
    } else {
        command.args(["--store", &format!("file://{}", store.path().display())]);
    }
    watched(command.current_dir(dir))
}

/// Runs it and looks at its memory meanwhile.
fn watched(command: &mut Command) -> Taken {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0).max(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{command:?}");
            return Taken { time: began.elapsed(), peak };
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn raw(command: &str) -> Taken {
    let container = format!("{CLUSTER}-primary-1");
    let exec = |args: &[&str]| {
        let status = Command::new("docker")
            .args(["exec", "-u", "postgres", &container])
            .args(args)
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{args:?}");
    };
    exec(&["rm", "-rf", "/tmp/raw"]);
    let began = Instant::now();
    exec(&command.split(' ').collect::<Vec<_>>());
    let time = began.elapsed();
    exec(&["rm", "-rf", "/tmp/raw"]);
    Taken { time, peak: 0 }
}
