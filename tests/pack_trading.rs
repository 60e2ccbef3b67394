//! The trading pack, applied to a real TimescaleDB as hypertide applies it, and then used as its users use it.
//!
//! Needs Docker and an image (see `server`). [`checks`] needs only a connection to a database that has the pack.

#[path = "pack_trading/server.rs"]
mod server;

#[path = "pack_trading/objects.rs"]
mod objects;

#[path = "pack_trading/behaviour.rs"]
mod behaviour;

use hypertide::model::cluster::Edition;
use hypertide::model::desired::PackRef;
use hypertide::model::pack::{Applied, AppliedMigration, Pack};
use hypertide::plan::migrations::{Ground, HeldBecause, compare};
use hypertide::schema::packs;
use server::Server;
use tokio_postgres::Client;

/// What a check found wrong.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs each check in a transaction that is rolled back, and lists those that failed.
macro_rules! run {
    ($client:expr, $failures:expr, [$($check:path),+ $(,)?]) => {
        $(
            $client.batch_execute("begin").await.expect("begin");
            if let Err(failure) = $check($client).await {
                $failures.push(format!("{}: {failure}", stringify!($check)));
            }
            $client.batch_execute("rollback").await.expect("rollback");
        )+
    };
}

/// Everything the pack promises, asked of a database that has it and holds no rows of its own.
async fn checks(client: &Client) -> Vec<String> {
    let mut failures = Vec::new();
    run!(
        client,
        failures,
        [
            objects::hypertables_have_their_intervals_and_the_packs_chunk_schema,
            objects::columns_come_in_the_order_in_which_feeds_write_them,
            objects::the_indexes_of_the_guide_exist,
            objects::every_table_and_chunk_has_a_replica_identity,
            objects::a_new_chunk_is_published_by_its_schema_at_once,
            objects::compression_is_that_of_the_guide_where_it_was_applied,
            behaviour::loading_the_same_bar_again_is_an_upsert,
            behaviour::rows_without_an_id_of_their_own_get_one,
            behaviour::the_queries_of_the_guide_run_on_an_empty_database,
            behaviour::the_query_of_the_guide_sums_up_what_was_loaded,
            behaviour::validation_finds_the_bad_bar_and_only_it,
            behaviour::validation_names_what_is_wrong,
            behaviour::validation_keeps_to_the_time_asked_for,
            behaviour::freshness_tells_fresh_stale_and_future,
            behaviour::the_daily_summary_is_that_of_the_hand,
            behaviour::days_are_utc_whatever_the_session_says,
            behaviour::series_that_move_alike_correlate_fully,
            behaviour::series_that_move_against_each_other_correlate_inversely,
            behaviour::series_that_grow_steadily_have_no_correlation_of_returns,
            behaviour::days_on_which_one_did_not_trade_are_left_out,
            behaviour::nothing_depends_on_the_search_path,
            behaviour::the_monitoring_queries_of_the_guide_answer,
        ]
    );
    failures
}

/// Asks for rows of one text column and compares them with what is expected.
async fn expect(client: &Client, sql: &str, expected: &[&str]) -> Result<(), Failure> {
    let rows = client.query(sql, &[]).await.map_err(|error| told(&error))?;
    let found: Vec<String> = rows
        .iter()
        .map(|row| row.try_get::<_, Option<String>>(0))
        .map(|text| text.map(|text| text.unwrap_or_else(|| "null".to_owned())))
        .collect::<Result<_, _>>()?;
    if found == expected { Ok(()) } else { Err(format!("expected {expected:#?}, found {found:#?}").into()) }
}

/// Runs statements whose results do not matter.
async fn run(client: &Client, sql: &str) -> Result<(), Failure> {
    client.batch_execute(sql).await.map_err(|error| told(&error))
}

/// The server's own words, which the driver's Display leaves out.
fn told(error: &tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(error) => error.to_string().into(),
        None => error.to_string().into(),
    }
}

/// Applies what the planner says, each migration in a transaction, and returns what is held.
async fn apply(client: &Client, packs: &[Pack], ground: Ground) -> Vec<HeldBecause> {
    let mut applied = Applied::new();
    for id in compare(packs, &applied, ground).to_apply {
        let migration = packs
            .iter()
            .flat_map(|pack| &pack.migrations)
            .find(|migration| migration.id == id)
            .expect("the planner names migrations of the packs");
        let script = format!("begin;\n{}\n;commit;", migration.sql);
        if let Err(failure) = run(client, &script).await {
            panic!("{id}: {failure}");
        }
        applied.push(AppliedMigration { id, checksum: migration.checksum.clone() });
    }
    let after = compare(packs, &applied, ground);
    assert!(after.to_apply.is_empty() && after.refused.is_empty());
    after.held.into_iter().map(|(_, because)| because).collect()
}

async fn edition(client: &Client) -> Edition {
    let row =
        client.query_one("select current_setting('timescaledb.license')", &[]).await.expect("TimescaleDB is loaded");
    if row.get::<_, &str>(0) == "timescale" { Edition::Community } else { Edition::Apache }
}

async fn install_and_check(client: &Client) -> Vec<String> {
    run(client, "create extension if not exists timescaledb; create extension if not exists pg_stat_statements")
        .await
        .expect("the image has TimescaleDB");
    let edition = edition(client).await;
    let ground = Ground { edition: Some(edition), has_logical_replica: false };
    let packs = packs::load(&[PackRef::BuiltIn("trading".to_owned())]).expect("the built-in pack is sound");
    let held = apply(client, &packs, ground).await;
    match edition {
        Edition::Apache => assert_eq!(held, [HeldBecause::NeedsCommunity]),
        Edition::Community => assert_eq!(held, []),
    }
    checks(client).await
}

#[tokio::test]
async fn the_trading_pack_keeps_its_promises() {
    let server = Server::start(&["shared_preload_libraries=timescaledb,pg_stat_statements"]).await;
    let outcome = {
        let client = server.connect("postgres").await;
        // A task of its own, so that the server goes away even when this panics.
        tokio::spawn(async move { install_and_check(&client).await }).await
    };
    server.remove().await;
    let failures = outcome.expect("applying the pack");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
