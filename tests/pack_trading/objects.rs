//! What the pack makes, as the catalogs show it.

use tokio_postgres::Client;

use super::{Failure, expect, run};

pub async fn hypertables_have_their_intervals_and_the_packs_chunk_schema(client: &Client) -> Result<(), Failure> {
    expect(
        client,
        "select concat_ws(' ', d.hypertable_name, d.column_name, d.time_interval, h.associated_schema_name)
         from timescaledb_information.dimensions d
         join _timescaledb_catalog.hypertable h
           on h.schema_name = d.hypertable_schema and h.table_name = d.hypertable_name
         where d.hypertable_schema = 'trading' order by 1",
        &[
            "data_quality_reports timestamp 30 days trading_chunks",
            "market_data timestamp 7 days trading_chunks",
            "orders timestamp 7 days trading_chunks",
            "positions timestamp 1 day trading_chunks",
        ],
    )
    .await
}

pub async fn columns_come_in_the_order_in_which_feeds_write_them(client: &Client) -> Result<(), Failure> {
    expect(
        client,
        "select table_name || ': ' || string_agg(column_name, ', ' order by ordinal_position)
         from information_schema.columns where table_schema = 'trading'
         group by table_name order by table_name",
        &[
            "data_quality_reports: timestamp, report_date, status, checks, pass_rate, details, report_id",
            "market_data: timestamp, symbol, open, high, low, close, volume, source",
            "orders: timestamp, symbol, side, quantity, price, status, filled_quantity, order_id",
            "positions: timestamp, symbol, quantity, avg_cost, unrealized_pnl",
        ],
    )
    .await
}

pub async fn the_indexes_of_the_guide_exist(client: &Client) -> Result<(), Failure> {
    expect(
        client,
        "select substring(indexdef from 'INDEX .*') from pg_indexes
         where schemaname = 'trading' and tablename = 'market_data' order by 1",
        &[
            "INDEX idx_market_data_source_time ON trading.market_data USING btree (source, \"timestamp\" DESC)",
            "INDEX idx_market_data_symbol_time ON trading.market_data USING btree (symbol, \"timestamp\" DESC)",
            "INDEX market_data_pkey ON trading.market_data USING btree (\"timestamp\", symbol)",
        ],
    )
    .await
}

pub async fn every_table_and_chunk_has_a_replica_identity(client: &Client) -> Result<(), Failure> {
    one_chunk_each(client).await?;
    expect(
        client,
        "select (count(*) >= 8) || ' ' || count(*) filter (where not has_key)
         from (
             select exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
                 and c.relreplident = 'd' as has_key
             from pg_class c
             where c.relkind = 'r' and c.relnamespace in ('trading'::regnamespace, 'trading_chunks'::regnamespace)
         ) as seen",
        &["true 0"],
    )
    .await
}

pub async fn a_new_chunk_is_published_by_its_schema_at_once(client: &Client) -> Result<(), Failure> {
    run(client, "create publication pack_check for tables in schema trading, trading_chunks").await?;
    one_chunk_each(client).await?;
    expect(
        client,
        "select (count(*) >= 4) || ' ' || count(*) filter (where p.relid is null)
         from timescaledb_information.hypertables h
         join pg_inherits i on i.inhparent = format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
         left join pg_get_publication_tables('pack_check') p on p.relid = i.inhrelid
         where h.hypertable_schema = 'trading'",
        &["true 0"],
    )
    .await
}

pub async fn compression_is_that_of_the_guide_where_it_was_applied(client: &Client) -> Result<(), Failure> {
    let is_compressed = client
        .query_one("select coalesce(bool_or(compression_enabled), false) from timescaledb_information.hypertables", &[])
        .await?
        .get::<_, bool>(0);
    if !is_compressed {
        return Ok(());
    }
    expect(
        client,
        "select hypertable_name || ' ' || (config ->> 'compress_after')::interval
         from timescaledb_information.jobs where proc_name = 'policy_compression' order by 1",
        &["data_quality_reports 30 days", "market_data 7 days", "orders 7 days", "positions 1 day"],
    )
    .await?;
    expect(
        client,
        "select hypertable_name || ' ' || attname from timescaledb_information.compression_settings
         where segmentby_column_index is not null order by 1",
        &["market_data symbol", "orders symbol", "positions symbol"],
    )
    .await
}

/// One row in each hypertable.
async fn one_chunk_each(client: &Client) -> Result<(), Failure> {
    run(
        client,
        "insert into trading.market_data values ('2026-03-02 15:00Z', 'NVDA', 1, 1, 1, 1, 1);
         insert into trading.orders values ('2026-03-02 15:00Z', 'NVDA', 'buy', 1);
         insert into trading.positions values ('2026-03-02 15:00Z', 'NVDA', 1, 1);
         insert into trading.data_quality_reports values ('2026-03-02 15:00Z', '2026-03-02', 'pass', 1, 100)",
    )
    .await
}
