//! What the mirror takes from writers: the same load on the same publication and subscription, the agent running or stopped,
//! in turns.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_postgres::NoTls;

use crate::pair::{PRIMARY_PORT, Pair, start_agent, stop_agent};
use crate::{median, print_figures};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(8);
pub const WRITERS: usize = 2;

/// Rows of one statement, which is one transaction.
const BATCH: i64 = 200;

/// What is wanted at least, percent.
const WANTED: u32 = 90;

/// How old the rows of one round are.
#[derive(Clone, Copy)]
pub enum Rows {
    /// Of this moment: their chunk was made ahead.
    Now,
    /// Of past days, an hour of rows each second: every second a new chunk.
    Past,
}

pub fn measure(pair: &Pair) {
    println!(
        "\ningest: {WRITERS} writers, {BATCH} rows per transaction, {ROUNDS} rounds of {} s: median [min-max]",
        ROUND.as_secs()
    );
    pair.renew(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut round = 0;
    for (what, rows) in [("rows of now", Rows::Now), ("a new chunk each second", Rows::Past)] {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            round += 1;
            pair.settle();
            with.push(runtime.block_on(load(pair, rows, round)));
            round += 1;
            if let Rows::Past = rows {
                make_chunks(pair, round);
            }
            pair.settle();
            stop_agent();
            without.push(runtime.block_on(load(pair, rows, round)));
            start_agent();
        }
        print_figures(&format!("{what}: no agent, their chunks there"), &without, "rows/s");
        print_figures(&format!("{what}: with the mirror"), &with, "rows/s");
        let percent = 100.0 * median(&with) / median(&without);
        println!(
            "  {:<62} {percent:.1} % (at least {WANTED} % wanted)",
            format!("{what}: with the mirror, of the rate without")
        );
    }
    pair.settle();
    pair.is_equal("bench.feed");
}

/// Where the rows of a round begin; each round has two days of its own.
fn beginning(round: i64) -> String {
    format!("timestamptz '2010-01-01' + {round} * interval '2 days'")
}

/// Without an agent nobody mirrors a chunk: those of the round are made, and mirrored, before it begins.
fn make_chunks(pair: &Pair, round: i64) {
    let hours = ROUND.as_secs() + 1;
    let begin = beginning(round);
    pair.sql(
        "primary",
        &format!(
            "insert into bench.feed select {begin} + i * interval '1 hour', -1, i from generate_series(0, {hours}) i"
        ),
    );
}

/// Milliseconds into the present hour: a round that is run again has other ids.
fn started() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis() % 3_600_000).unwrap() * 100
}

/// All writers for the length of a round; gives rows per second.
pub async fn load(pair: &Pair, rows: Rows, round: i64) -> f64 {
    let passwords = std::fs::read_to_string(pair.passwords()).unwrap();
    let password = passwords.lines().find_map(|line| line.strip_prefix("*:*:*:app:")).unwrap();
    let at = match rows {
        Rows::Now => "clock_timestamp()".to_owned(),
        Rows::Past => format!("{} + $2 * interval '1 second'", beginning(round)),
    };
    // The id of each row is its own: round, writer, count.
    let insert =
        format!("insert into bench.feed select {at}, $1::bigint + i, $2::float8 from generate_series(1, {BATCH}) i");
    let writers = (0..WRITERS).map(|writer| {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(PRIMARY_PORT).user("app").password(password).dbname("trading_data");
        let insert = &insert;
        async move {
            let (client, connection) = config.connect(NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let insert = client.prepare(insert).await.unwrap();
            let began = Instant::now();
            let mut next = round * 1_000_000_000 + i64::try_from(writer).unwrap() * 500_000_000 + started();
            let mut written = 0_u32;
            while began.elapsed() < ROUND {
                let past = began.elapsed().as_secs_f64() * 3600.0;
                written += u32::try_from(client.execute(&insert, &[&next, &past]).await.unwrap()).unwrap();
                next += BATCH;
            }
            let rate = f64::from(written) / began.elapsed().as_secs_f64();
            drop(client);
            connection.await.unwrap().unwrap();
            rate
        }
    });
    join_all(writers).await.into_iter().sum()
}
