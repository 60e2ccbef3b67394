//! The packs made from documents of systems that somebody runs, applied to a real TimescaleDB and then used.
//!
//! Needs Docker and an image (see `server`). One server serves all: each pack alone in a database, all five in one more.

#[path = "pack_trading/server.rs"]
mod server;

#[path = "pack_seeds/support.rs"]
mod support;

#[path = "pack_seeds/invariants.rs"]
mod invariants;

#[path = "pack_seeds/community.rs"]
mod community;

#[path = "pack_seeds/dashboard.rs"]
mod dashboard;

#[path = "pack_seeds/etl.rs"]
mod etl;

#[path = "pack_seeds/jobs.rs"]
mod jobs;

#[path = "pack_seeds/l0_pipeline.rs"]
mod l0_pipeline;

#[path = "pack_seeds/market_data.rs"]
mod market_data;

use hypertide::model::cluster::Edition;
use hypertide::model::pack::Pack;
use server::Server;
use support::{Failure, checks, edition, expect, install, install_catalog, load, run};
use tokio_postgres::Client;

/// Statistics as hypertide's presets have them; no background workers, so that nothing runs but what a check runs.
const SETTINGS: [&str; 2] =
    ["shared_preload_libraries=timescaledb,pg_stat_statements", "timescaledb.max_background_workers=0"];

/// Each pack with the names its document mentions.
const LISTS: [(&str, &str); 5] = [
    ("trading", include_str!("pack_seeds/trading.objects")),
    ("l0_pipeline", include_str!("pack_seeds/l0_pipeline.objects")),
    ("dashboard", include_str!("pack_seeds/dashboard.objects")),
    ("market_data", include_str!("pack_seeds/market_data.objects")),
    ("etl", include_str!("pack_seeds/etl.objects")),
];

/// Each pack's own promises, asked of a database that has it and holds no rows of its own.
async fn promises(client: &Client) -> Vec<String> {
    let mut failures = Vec::new();
    checks!(
        client,
        failures,
        [
            etl::a_connector_takes_its_status_and_data_with_it,
            etl::defaults_are_those_of_the_guide,
            etl::an_update_moves_updated_at_unless_it_sets_it,
            etl::the_common_queries_answer,
            etl::old_rows_are_deleted_and_counted,
            etl::bad_rows_are_refused_by_name,
            etl::a_reader_reads_and_an_application_writes,
            market_data::bad_bars_are_refused_by_name,
            market_data::other_bad_rows_are_refused_by_name,
            market_data::a_day_is_summed_up_by_hand,
            market_data::gaps_are_weekdays_without_a_bar,
            market_data::old_bars_are_archived_before_they_are_dropped,
            market_data::the_roles_have_exactly_the_grants_of_the_guide,
            market_data::a_reader_cannot_write_and_an_application_cannot_delete,
            market_data::the_monitoring_queries_answer,
            dashboard::a_complete_timely_row_scores_a_hundred_and_each_penalty_is_the_guides,
            dashboard::each_violated_rule_takes_ten_points_down_to_nothing,
            dashboard::a_correction_is_scored_again,
            dashboard::z_scores_beyond_four_are_anomalies_and_beyond_six_black_swans,
            dashboard::an_anomaly_goes_when_its_row_is_corrected_and_stays_once_reviewed,
            dashboard::old_values_are_looked_for_beyond_the_usual_distance,
            dashboard::the_audit_tells_what_who_when_and_why,
            dashboard::the_audit_cannot_be_changed_by_anybody,
            dashboard::deleted_rows_can_be_brought_back,
            dashboard::bulk_upserts_say_what_is_new_and_what_changed,
            dashboard::the_aggregates_are_those_of_the_hand,
            dashboard::the_grid_knows_weekends_and_holidays,
            dashboard::forecasts_and_backtests_know_how_good_they_were,
            dashboard::bad_rows_are_refused_by_name,
            dashboard::a_reader_reads_and_an_application_writes,
            l0_pipeline::trading_hours_are_those_of_bogota_without_holidays,
            l0_pipeline::holidays_are_those_of_the_colombian_calendar,
            l0_pipeline::gaps_are_found_within_sessions_and_across_a_holiday,
            l0_pipeline::gaps_are_written_down_once_and_their_filling_is_followed,
            l0_pipeline::signals_come_by_priority_and_wait_for_others,
            l0_pipeline::health_is_recorded_and_summed_up,
            l0_pipeline::quality_is_that_of_the_hand,
            l0_pipeline::views_are_as_of_their_last_refresh,
            l0_pipeline::bad_bars_are_refused_by_name,
            l0_pipeline::triggers_classify_log_and_clean_up,
            l0_pipeline::backups_are_listed_validated_and_expire,
            l0_pipeline::old_rows_are_deleted_as_the_schedule_says,
            l0_pipeline::the_queries_of_the_guide_run_as_they_are_written,
            l0_pipeline::a_reader_reads_and_an_application_writes,
        ]
    );
    failures
}

/// Packs in a database of their own: everything the documents name is there, and what holds for every pack.
async fn install_in(server: &Server, database: &str, packs: &[Pack]) -> Result<Client, Failure> {
    let client = server.connect("postgres").await;
    run(&client, &format!("create database {database} template base strategy file_copy")).await?;
    let client = server.connect(database).await;
    install(&client, packs).await?;
    for (_, list) in LISTS.iter().filter(|(name, _)| packs.iter().any(|pack| pack.name == *name)) {
        invariants::every_object_exists(&client, list).await?;
    }
    invariants::hold(&client, packs).await?;
    Ok(client)
}

/// A database that has an older version of a pack, and rows, keeps them when the pack grows.
async fn rows_outlive_new_migrations(server: &Server) -> Result<(), Failure> {
    let whole = load(&["trading", "etl"]);
    let mut older = whole.clone();
    older[0].migrations.retain(|migration| migration.id.number < 8);
    older[1].migrations.truncate(2);
    run(&server.connect("postgres").await, "create database grown template base strategy file_copy").await?;
    let client = server.connect("grown").await;
    install(&client, &older).await?;
    let rows = "insert into trading.market_data values ('2026-03-02 15:00Z', 'NVDA', 10, 11, 9, 10, 100);
         insert into etl.websocket_messages (exchange, data) values ('okx', '{}')";
    run(&client, rows).await?;
    install(&client, &whole).await?;
    let left = support::left_to_do(&client, &whole).await?;
    let counts =
        "select (select count(*) from trading.market_data) || ' ' || (select count(*) from etl.recent_messages)";
    expect(&client, counts, &["1 1"]).await?;
    if left == "[] []" { Ok(()) } else { Err(left.into()) }
}

/// The jobs that the packs' pages propose, each run once as the agent would.
async fn jobs_of_the_readmes(client: &Client) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, _) in LISTS {
        let path = format!("{}/sql/packs/{name}/README.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(path).expect("each pack has a page");
        for job in page.lines().filter(|line| line.trim_start().starts_with("- {name: ")) {
            let sql = job.split("sql: \"").nth(1).and_then(|rest| rest.strip_suffix("\"}")).unwrap_or_default();
            if let Err(failure) = ask_or_run(client, sql).await {
                failures.push(format!("{name}: {job}: {failure}"));
            }
        }
    }
    failures
}

async fn ask_or_run(client: &Client, sql: &str) -> Result<(), Failure> {
    if sql.is_empty() { Err("no statement".into()) } else { run(client, sql).await }
}

async fn everything(server: &Server) -> Vec<String> {
    let client = server.connect("postgres").await;
    // As hypertide makes them on every node, before any database.
    let roles = "create role app login; create role reader login; create role monitor login;
                 create role replicator login replication";
    run(&client, roles).await.expect("a new server has none of these roles");
    run(&client, "create database base").await.expect("there is none of this name");
    install_catalog(&server.connect("base").await).await.expect("hypertide's schema is sound");
    let mut failures = Vec::new();
    for (name, _) in LISTS {
        if let Err(failure) = install_in(server, &format!("{name}_alone"), &load(&[name])).await {
            failures.push(format!("{name} alone: {failure}"));
        }
    }
    if let Err(failure) = rows_outlive_new_migrations(server).await {
        failures.push(format!("grown: {failure}"));
    }
    match install_in(server, "together", &load(&LISTS.map(|(name, _)| name))).await {
        Ok(client) => {
            failures.extend(promises(&client).await);
            failures.extend(jobs_of_the_readmes(&client).await);
            failures.extend(jobs::of_the_packs(&client).await);
            if edition(&client).await == Edition::Community
                && let Err(failure) = community::everything(&client).await
            {
                failures.push(format!("community: {failure}"));
            }
        }
        Err(failure) => failures.push(format!("together: {failure}")),
    }
    failures
}

#[tokio::test]
async fn the_packs_keep_the_promises_of_their_documents() {
    let server = std::sync::Arc::new(Server::start(&SETTINGS).await);
    let outcome = {
        let server = std::sync::Arc::clone(&server);
        // A task of its own, so that the server goes away even when this panics.
        tokio::spawn(async move { everything(&server).await }).await
    };
    server.remove().await;
    let failures = outcome.expect("installing the packs");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
