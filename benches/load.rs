//! How fast `hypertide load` is beside psql's `\copy` into the same hypertable, and when a replica has the same rows: printed; only
//! that it has them in the end is asserted.
//!
//! `cargo bench --bench load` runs it; `HYPERTIDE_BENCH_ROWS` says how many rows (a million unless told). Needs Docker.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const HYPERTIDE: &str = env!("CARGO_BIN_EXE_hypertide");
const TABLE: &str = "market_data.ohlcv";
const COLUMNS: &str = "symbol,timestamp,open,high,low,close,volume,timeframe,source";

/// Runs of each measurement.
const RUNS: usize = 3;
/// How long a replica may take over a million rows.
const PATIENCE: Duration = Duration::from_mins(10);

fn main() {
    // `cargo test --benches` runs this too, and has nothing to learn from it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let rows: usize =
        std::env::var("HYPERTIDE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), "");
    run(dir.path(), &["up"]);
    let (good, bad) = (dir.path().join("good.csv"), dir.path().join("bad.csv"));
    std::fs::write(&good, text(rows, false)).unwrap();
    std::fs::write(&bad, text(rows, true)).unwrap();
    println!("\n{rows} rows of OHLCV, best of {RUNS}");
    let copy = best(dir.path(), || copy(dir.path(), &good));
    report("psql \\copy", rows, copy, copy);
    let load = |file: &Path| {
        let file = file.to_str().unwrap();
        let began = Instant::now();
        hypertide(dir.path(), &["load", TABLE, file]).output().unwrap();
        began.elapsed()
    };
    report("load, every row good", rows, best(dir.path(), || load(&good)), copy);
    report("load, the last row bad", rows, best(dir.path(), || load(&bad)), copy);
    load(&good);
    report("load, every row there already", rows, load(&good), copy);
    replicated(dir.path(), rows, &good);
    run(dir.path(), &["destroy", "--yes"]);
}

fn configure(dir: &Path, replica: &str) {
    let config = format!(
        "cluster: bench-load\nnodes: {{primary: {{port: 7444}}, replicas: [{replica}]}}\npacks: [market_data]\nmetrics: {{listen: off}}\n"
    );
    std::fs::write(dir.join("hypertide.yaml"), config).unwrap();
}

/// Loads the rows with a logical replica there, and waits until it has as many.
fn replicated(dir: &Path, rows: usize, file: &Path) {
    run(dir, &["psql", "--", "-qXc", &format!("truncate {TABLE}")]);
    configure(dir, "{port: 7445}");
    run(dir, &["up"]);
    let count = |node: &str| -> String {
        let counted = hypertide(dir, &["psql", node, "--", "-AtqXc", &format!("select count(*) from {TABLE}")]);
        String::from_utf8(output(counted).stdout).unwrap().trim().to_owned()
    };
    let began = Instant::now();
    run(dir, &["load", TABLE, file.to_str().unwrap()]);
    let loaded = began.elapsed();
    while count("replica-1") != rows.to_string() {
        assert!(began.elapsed() < PATIENCE, "{} of {rows} rows are on the replica", count("replica-1"));
        std::thread::sleep(Duration::from_millis(250));
    }
    let arrived = began.elapsed();
    assert_eq!(count("primary-1"), rows.to_string());
    println!(
        "  with a logical replica: loaded in {:.2} s, as many rows on the replica after {:.2} s",
        loaded.as_secs_f64(),
        arrived.as_secs_f64()
    );
    run(dir, &["replication", "verify", "--full"]);
    println!("  `replication verify --full` finds them equal");
}

fn text(rows: usize, has_bad: bool) -> String {
    let mut text = format!("{COLUMNS}\n");
    for row in 0..rows {
        let (minute, symbol) = (row / 10, row % 10);
        let (day, hour, minute) = (minute / 1440, minute / 60 % 24, minute % 60);
        let (month, day) = (1 + day / 28 % 12, 1 + day % 28);
        let low = if has_bad && row + 1 == rows { 99 } else { 9 };
        writeln!(
            text,
            "S{symbol},2026-{month:02}-{day:02} {hour:02}:{minute:02}Z,10.25,12.5,{low}.75,11,{row},1m,bench"
        )
        .unwrap();
    }
    text
}

/// The best of some runs, each into an empty table.
fn best(dir: &Path, measure: impl Fn() -> Duration) -> Duration {
    let once = |_| {
        run(dir, &["psql", "--", "-qXc", &format!("truncate {TABLE}")]);
        measure()
    };
    (0..RUNS).map(once).min().unwrap()
}

fn copy(dir: &Path, file: &Path) -> Duration {
    let sql = format!("\\copy {TABLE} ({COLUMNS}) from pstdin csv header");
    let began = Instant::now();
    let status =
        hypertide(dir, &["psql", "--", "-qXc", &sql]).stdin(std::fs::File::open(file).unwrap()).status().unwrap();
    assert!(status.success());
    began.elapsed()
}

fn report(what: &str, rows: usize, took: Duration, copy: Duration) {
    #[allow(clippy::cast_precision_loss)]
    let rate = rows as f64 / took.as_secs_f64();
    let share = 100.0 * copy.as_secs_f64() / took.as_secs_f64();
    println!("  {what:<32} {:>7.2} s {rate:>9.0} rows/s {share:>4.0} % of \\copy", took.as_secs_f64());
}

fn hypertide(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(HYPERTIDE);
    command.current_dir(dir).args(args).stdin(Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) {
    output(hypertide(dir, args));
}

fn output(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
