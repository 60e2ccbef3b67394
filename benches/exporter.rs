//! What a scrape costs, beside Debian's `prometheus-postgres-exporter` on the same database with 1, 500 and 2,000 chunks.
//!
//! `make bench` runs it; nothing is asserted. Needs Docker, and that exporter in PATH to compare with.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hypertide::metrics::collectors;
use hypertide::metrics::ground::{self, Ground};

const HYPERTIDE: &str = env!("CARGO_BIN_EXE_hypertide");
const CLUSTER: &str = "benchexporter";
const PORT: u16 = 7444;
const AGENT_PORT: u16 = 7197;
const EXPORTER_PORT: u16 = 7198;

/// Chunks at which it is measured.
const CHUNKS: [u32; 3] = [1, 500, 2000];
/// Scrapes of each measurement.
const SCRAPES: usize = 40;
/// How long the collectors' questions are counted.
const MINUTE: Duration = Duration::from_mins(1);
/// Debian's example of queries for it, unless HYPERTIDE_EXPORTER_QUERIES names another.
const EXAMPLE: &str = "/usr/share/doc/prometheus-postgres-exporter/examples/queries.yaml";
/// Scrapes of a Prometheus in a minute.
const SCRAPES_A_MINUTE: u64 = 4;

fn main() {
    // `cargo test --benches` runs this too, and has nothing to learn from it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "cluster: {CLUSTER}\npacks: []\nnodes: {{primary: {{port: {PORT}}}, replicas: []}}\n\
         metrics: {{listen: \"127.0.0.1:{AGENT_PORT}\"}}\n"
    );
    std::fs::write(dir.path().join("hypertide.yaml"), config).unwrap();
    run(dir.path(), &["destroy", "--yes"]);
    run(dir.path(), &["up"]);
    sql(
        dir.path(),
        "create table public.ticks (at timestamptz not null, value float8);
         select create_hypertable('public.ticks', 'at', chunk_time_interval => interval '1 day');
         create role exporter login superuser password 'exporter'",
    );
    for chunks in CHUNKS {
        measure(dir.path(), chunks);
    }
    run(dir.path(), &["destroy", "--yes"]);
}

fn measure(dir: &Path, chunks: u32) {
    sql(
        dir,
        &format!(
            "insert into public.ticks select now() - make_interval(days => day), 1 from generate_series(0, {chunks} - 1) day;
             vacuum analyze public.ticks"
        ),
    );
    println!("\n{chunks} chunks: median and 95th percentile of {SCRAPES} scrapes");
    // Everything that is asked once a minute was asked.
    // Statements keep the comment that each question begins with.
    let here = Ground { has_timescaledb: true, has_catalog: true, has_statements: true };
    let questions = collectors::ALL.iter().map(|collector| collector.question.on(here));
    let heads = std::iter::once(ground::QUESTION).chain(questions);
    let heads = heads.filter_map(|question| question.lines().next().filter(|line| line.starts_with("--")));
    let heads: Vec<String> = heads.map(|line| format!("'{}'", line.replace('\'', "''"))).collect();
    let counted = || -> u64 {
        let asked = format!("split_part(query, E'\\n', 1) = any (array[{}])", heads.join(", "));
        sql(dir, &format!("select coalesce(sum(calls), 0) from pg_stat_statements where {asked}")).parse().unwrap()
    };
    let before = counted();
    std::thread::sleep(MINUTE);
    let asked = counted() - before;
    print_scrapes("hypertide's agent, all that it does", AGENT_PORT, asked);
    let queries = std::env::var("HYPERTIDE_EXPORTER_QUERIES").unwrap_or_else(|_| EXAMPLE.to_owned());
    let with_queries = format!("--extend.query-path={queries}");
    // Newer ones ask for tables by themselves, older ones with the package's own example of queries.
    for (what, flags) in [
        ("postgres_exporter, as it comes", &[][..]),
        (
            "postgres_exporter, without tables",
            &["--no-collector.stat_user_tables", "--no-collector.statio_user_tables"],
        ),
        ("postgres_exporter, with its package's queries", &[&with_queries]),
    ] {
        let Some(mut exporter) = exporter(flags) else {
            println!("  {what:<52} not measured: it is not in PATH, or does not know the option");
            continue;
        };
        let calls = || {
            let by = "userid = 'exporter'::regrole";
            sql(dir, &format!("select coalesce(sum(calls), 0) from pg_stat_statements where {by}"))
                .parse::<u64>()
                .unwrap()
        };
        let before = calls();
        scrape(EXPORTER_PORT);
        let asked = calls() - before;
        print_scrapes(what, EXPORTER_PORT, asked * SCRAPES_A_MINUTE);
        exporter.kill().unwrap();
        exporter.wait().unwrap();
    }
}

/// Starts it and waits until it answers; `None` where there is none.
fn exporter(flags: &[&str]) -> Option<Child> {
    let source = format!("postgresql://exporter:exporter@127.0.0.1:{PORT}/trading_data?sslmode=disable");
    let mut exporter = Command::new("prometheus-postgres-exporter")
        .arg(format!("--web.listen-address=127.0.0.1:{EXPORTER_PORT}"))
        .args(flags)
        .env("DATA_SOURCE_NAME", source)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", EXPORTER_PORT)).is_err() {
        if exporter.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(exporter)
}

fn print_scrapes(what: &str, port: u16, asked: u64) {
    let (mut millis, mut text) = (Vec::new(), String::new());
    for _ in 0..SCRAPES {
        let began = Instant::now();
        text = scrape(port);
        millis.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    millis.sort_by(f64::total_cmp);
    let (median, high) = (millis[SCRAPES / 2], millis[SCRAPES * 95 / 100]);
    let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let resident = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
    let mebibytes = resident.parse::<f64>().unwrap() / 1024.0 / 1024.0;
    println!(
        "  {what:<52} {median:.1} ms, {high:.1} ms; {series} series; {mebibytes:.0} MiB; {asked} queries a minute"
    );
}

/// Version 1.0 of the protocol has no chunks to put together.
fn scrape(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: bench\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{}", &text[..text.len().min(200)]);
    text
}

/// Runs a verb that must succeed.
fn run(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(HYPERTIDE).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// One statement at a time: some cannot be in a transaction.
fn sql(dir: &Path, statements: &str) -> String {
    let mut said = String::new();
    for statement in statements.split(";\n") {
        said = run(dir, &["psql", "primary", "--", "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", statement]);
    }
    said
}
