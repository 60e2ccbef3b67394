//! What complete logical replication costs: the first copy of thousands of chunks, a pass over ten thousand, ingest, and a late
//! row.
//!
//! `make bench` runs it; nothing is asserted but that the figures are of what they say. Needs Docker and its command; images are
//! provided before the clock starts. With the word `first`, `pass`, `late` or `ingest` as its argument it measures that part only.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "replicate/pair.rs"]
mod pair;

#[path = "replicate/first_copy.rs"]
mod first_copy;

#[path = "replicate/ingest.rs"]
mod ingest;

#[path = "replicate/late.rs"]
mod late;

#[path = "replicate/pass.rs"]
mod pass;

use std::time::Duration;

use pair::Pair;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, and has nothing to learn from it.
    if args.iter().any(|arg| arg == "--test") {
        return;
    }
    let is_wanted = |part: &str| {
        let mut named = args.iter().filter(|arg| !arg.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|arg| arg == part)
    };
    let pair = Pair::new();
    for (part, measure) in [
        ("ingest", ingest::measure as fn(&Pair)),
        ("late", late::measure),
        ("pass", pass::measure),
        ("first", first_copy::measure),
    ] {
        if is_wanted(part) {
            measure(&pair);
        }
    }
}

/// One line of figures: the median, the least and the greatest of them.
fn print_figures(what: &str, figures: &[f64], unit: &str) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, greatest) = (sorted[0], sorted[sorted.len() - 1]);
    println!("  {what:<62} {:.3} [{least:.3}-{greatest:.3}] {unit}", median(figures));
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn print_seconds(what: &str, time: Duration) {
    println!("  {what:<62} {:.1} s", time.as_secs_f64());
}
