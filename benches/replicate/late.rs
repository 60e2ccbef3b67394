//! A row far outside of what there is, while writers go on: how long until the replica has it, chunk and all.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::ingest::{self, Rows};
use crate::pair::{PRIMARY_PORT, Pair, REPLICA_PORT};
use crate::print_figures;

const TIMES: i32 = 10;

/// What is wanted at most, seconds.
const WANTED: u32 = 3;

/// Between two looks at the replica.
const PAUSE: Duration = Duration::from_millis(10);

/// A round of ingest, far from the others.
const ROUND: i64 = 500;

pub fn measure(pair: &Pair) {
    println!("\na row years back, into a chunk of its own, while {} writers go on: median [min-max]", ingest::WRITERS);
    pair.renew(true);
    pair.settle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let times = runtime.block_on(async {
        tokio::select! {
            times = late_rows(pair) => times,
            () = async { loop { ingest::load(pair, Rows::Now, ROUND).await; } } => unreachable!("it goes on for ever"),
        }
    });
    print_figures(&format!("until the replica has it (at most {WANTED} s wanted)"), &times, "s");
    pair.settle();
    pair.is_equal("bench.feed");
    pair.is_equal("bench.sparse");
}

async fn late_rows(pair: &Pair) -> Vec<f64> {
    let (primary, replica) = (connect(pair, PRIMARY_PORT, "app").await, connect(pair, REPLICA_PORT, "reader").await);
    let insert = "insert into bench.sparse values (timestamptz '2018-01-01' + $1 * interval '1 month', $1, 0)";
    let (insert, look) = (
        primary.prepare_typed(insert, &[tokio_postgres::types::Type::INT4]).await.unwrap(),
        replica.prepare("select from bench.sparse where id = $1::int4").await.unwrap(),
    );
    let mut times = Vec::new();
    for id in 0..TIMES {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        primary.execute(&insert, &[&id]).await.unwrap();
        while replica.query_opt(&look, &[&id]).await.unwrap().is_none() {
            tokio::time::sleep(PAUSE).await;
        }
        times.push(began.elapsed().as_secs_f64());
    }
    times
}

async fn connect(pair: &Pair, port: u16, user: &str) -> Client {
    let passwords = std::fs::read_to_string(pair.passwords()).unwrap();
    let password = passwords.lines().find_map(|line| line.strip_prefix(&format!("*:*:*:{user}:"))).unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname("trading_data");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
