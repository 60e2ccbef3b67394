//! The first copy of 2,000 chunks with 20,000 rows: a replica added by hypertide, and a subscription made by hand with
//! PostgreSQL's own settings over chunks that are there already.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::pair::{Pair, stop_agent};
use crate::print_seconds;

const CHUNKS: u32 = 2_000;
const ROWS: u32 = 20_000;

/// What two sync workers, PostgreSQL's default, took for as many chunks and rows on such a machine when this was begun.
const TWO_WORKERS_QUOTED: &str = "112 s";

pub fn measure(pair: &Pair) {
    println!("\nfirst copy of {CHUNKS} chunks, {ROWS} rows");
    pair.renew(false);
    pair.sql(
        "primary",
        &format!(
            "insert into bench.sparse select timestamptz '2024-01-01' + i / {per} * interval '1 hour' + i % {per} * interval '1 minute', i, i
             from generate_series(0, {ROWS} - 1) i",
            per = ROWS / CHUNKS
        ),
    );
    pair.configure(true);
    let (began, mut subscribed) = (Instant::now(), None);
    let mut up = pair.command(&["up", "--wait", "900"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    for line in BufReader::new(up.stderr.take().unwrap()).lines() {
        if line.unwrap().contains("done: subscribe") {
            subscribed = Some(began.elapsed());
        }
    }
    assert!(up.wait().unwrap().success(), "up failed");
    pair.settle();
    let took = began.elapsed();
    pair.is_equal("bench.sparse");
    print_seconds("hypertide: from no replica to one that is complete", took);
    if let Some(subscribed) = subscribed {
        print_seconds("  of which container, chunks and their guards", subscribed);
        print_seconds("  of which the copy", took.saturating_sub(subscribed));
    }
    print_seconds("by hand, two sync workers: the copy alone, chunks being there", by_hand(pair));
    println!("  {:<62} {TWO_WORKERS_QUOTED}", "  the same, measured when the project was begun");
}

/// The same rows through a subscription that nobody tuned.
fn by_hand(pair: &Pair) -> Duration {
    let plain = "preset: {max_sync_workers_per_subscription: 2, wal_retrieve_retry_interval: 5s}\n";
    let config = pair.path().join("hypertide.yaml");
    let tuned = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{tuned}{plain}")).unwrap();
    pair.run(&["up"]);
    pair.settle();
    stop_agent();
    let read = |column: &str| pair.sql("replica", &format!("select {column} from pg_subscription"));
    let (name, connection, publications) = (read("subname"), read("subconninfo"), read("subpublications[1]"));
    // Rows go, chunks stay.
    pair.script(
        "replica",
        &format!(
            "set default_transaction_read_only = off; drop subscription \"{name}\"; set session_replication_role = replica;
             delete from bench.sparse; vacuum bench.sparse;"
        ),
    );
    assert_eq!(pair.sql("replica", "select count(*) from bench.sparse"), "0");
    let began = Instant::now();
    pair.script(
        "replica",
        &format!(
            "set default_transaction_read_only = off;
             create subscription by_hand connection '{}' publication \"{publications}\";",
            connection.replace('\'', "''")
        ),
    );
    let is_copied = "select count(*) from pg_subscription_rel where srsubstate <> 'r'";
    pair.wait_for("all is copied", Duration::from_millis(500), || pair.sql("replica", is_copied) == "0");
    let took = began.elapsed();
    pair.is_equal("bench.sparse");
    took
}
