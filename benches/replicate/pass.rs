//! A pass while nothing changes, over a handful of chunks and over ten thousand: how long it takes, and how many queries each
//! node gets for it.

use std::time::{Duration, Instant};

use crate::pair::{Pair, metric, start_agent, stop_agent};
use crate::print_figures;

const CHUNKS: u32 = 10_000;

/// Chunks made in one transaction: each holds locks to its end.
const BATCH: u32 = 200;

/// How long passes are watched.
const WATCH: Duration = Duration::from_secs(30);

/// Between two looks at the agent's counters: less than a pass takes, with the second between two of them.
const PAUSE: Duration = Duration::from_millis(200);

pub fn measure(pair: &Pair) {
    println!("\na pass while nothing changes, {} s of passes: median [min-max]", WATCH.as_secs());
    pair.renew(true);
    pair.settle();
    watch(pair);
    make_chunks(pair);
    start_agent();
    pair.settle();
    watch(pair);
}

/// On both sides with the agent out of the way, and subscribed to without a first copy: neither is what is measured here. The
/// replica's are made by rows and then get the primary's names, which is quicker than one by one; those rows go again, since passes
/// look at none.
fn make_chunks(pair: &Pair) {
    stop_agent();
    let insert = |begin: u32| {
        let end = (begin + BATCH).min(CHUNKS);
        format!(
            "insert into bench.sparse select timestamptz '2000-01-01' + i * interval '1 hour', i, i
             from generate_series({begin}, {end} - 1) i;"
        )
    };
    let inserts: Vec<String> = (0..CHUNKS).step_by(BATCH as usize).map(insert).collect();
    let inserts = inserts.join("\n");
    pair.script("primary", &inserts);
    let slices = "select format('%s|%s', c.relname, (select array_agg(bound) from unnest(k.slices) bound))
         from hypertide.chunks(array['bench.sparse'::regclass::oid]) k join pg_class c on c.oid = k.relation";
    let wanted = pair.sql("primary", slices);
    let name = pair.sql("replica", "select subname from pg_subscription");
    let script = format!(
        "set default_transaction_read_only = off; set session_replication_role = replica; set jit = off;
         {inserts}
         create temp table wanted (name text, slices int8[]);
         copy wanted from stdin with (delimiter '|');\n{wanted}\n\\.
         create temp table made as
           select k.relation, c.relname, (select array_agg(bound) from unnest(k.slices) bound) as slices
           from hypertide.chunks(array['bench.sparse'::regclass::oid]) k join pg_class c on c.oid = k.relation;
         select format('alter table %s rename to %I', m.relation::regclass, w.name)
           from made m join wanted w using (slices) where m.relname <> w.name \\gexec
         delete from bench.sparse;
         alter subscription \"{name}\" refresh publication with (copy_data = false);\n"
    );
    pair.script("replica", &script);
}

fn watch(pair: &Pair) {
    let chunks = metric("hypertide_chunks_published{node=\"replica-1\"} ").expect("the agent answers");
    for node in ["primary", "replica"] {
        pair.sql(node, "select pg_stat_statements_reset()");
    }
    let began = Instant::now();
    let (first, mut last) = (counters(), counters());
    let mut times = Vec::new();
    while began.elapsed() < WATCH {
        std::thread::sleep(PAUSE);
        let now = counters();
        #[allow(clippy::float_cmp, reason = "it counts")]
        if now.0 - last.0 == 1.0 {
            times.push((now.1 - last.1) * 1000.0);
        }
        last = now;
    }
    let passes = last.0 - first.0;
    print_figures(&format!("{chunks} chunks: time, both nodes and Docker included"), &times, "ms");
    for node in ["primary", "replica"] {
        let calls: f64 = pair.sql(node, CALLS).parse().unwrap();
        println!("  {:<62} {:.1}", format!("{chunks} chunks: queries per pass to the {node}"), calls / passes);
    }
}

/// What the agent asked, without what it does beside its passes: the heartbeat, the watch for new chunks, and sequences.
const CALLS: &str = "select coalesce(sum(calls), 0) from pg_stat_statements s
    where userid = 'postgres'::regrole and dbid = (select oid from pg_database where datname = current_database())
      and query !~ 'hypertide.beat\\(\\)|select last_value from _timescaledb_catalog|pg_stat_statements|pg_sequence'";

/// Passes that ended, and their seconds.
fn counters() -> (f64, f64) {
    let read = |what: &str| metric(&format!("hypertide_agent_pass_duration_seconds_{what} ")).unwrap();
    (read("count"), read("sum"))
}
