//! What the etl pack does with rows.

use tokio_postgres::Client;

use super::support::{Failure, expect, refused, run};

const CONNECTORS: &str = "insert into etl.api_connectors (connector_id, name, api_url, credentials_encrypted)
     values ('conn_abc', 'ABC', 'https://a', 'gAAAAABl=='), ('conn_xyz', 'XYZ', 'https://x', null);
     insert into etl.connector_status (connector_id) values ('conn_abc'), ('conn_xyz');
     insert into etl.api_connector_data (connector_id, timestamp, price, data)
     values ('conn_abc', '2026-03-02 10:00Z', 1.5, '{}'), ('conn_abc', '2026-03-02 11:00Z', 2.5, '{\"a\": 1}'),
            ('conn_xyz', '2026-03-02 11:00Z', 9, '{}')";

const MESSAGES: &str = "insert into etl.websocket_messages (timestamp, exchange, instrument, price, data) values
         ('2026-03-02 10:00Z', 'okx', 'BTC-USDT', 100, '{}'), ('2026-03-02 10:02Z', 'okx', 'BTC-USDT', 102, '{}'),
         ('2026-03-02 10:01Z', 'binance', 'BTC-USDT', 101, '{}'), ('2026-03-02 09:00Z', 'okx', 'ETH-USDT', 7, '{}');
     insert into etl.websocket_batches (timestamp, exchange, total_messages, messages_per_second, messages)
     values ('2025-03-02 10:00Z', 'okx', 2, 0.5, '[]')";

pub async fn a_connector_takes_its_status_and_data_with_it(client: &Client) -> Result<(), Failure> {
    run(client, CONNECTORS).await?;
    run(client, "delete from etl.api_connectors where connector_id = 'conn_abc'").await?;
    expect(
        client,
        "select connector_id || ' ' || status from etl.connector_status
         union all select connector_id || ' ' || price from etl.api_connector_data",
        &["conn_xyz stopped", "conn_xyz 9.00000000"],
    )
    .await
}

pub async fn defaults_are_those_of_the_guide(client: &Client) -> Result<(), Failure> {
    run(client, CONNECTORS).await?;
    run(client, MESSAGES).await?;
    expect(
        client,
        "select concat_ws(' ', http_method, auth_type, status, polling_interval, credentials_encrypted)
         from etl.api_connectors where connector_id = 'conn_abc'
         union all select message_type from etl.websocket_messages where exchange = 'binance'
         union all select message_type || message_count || reconnect_attempts
         from etl.api_connector_data join etl.connector_status using (connector_id) where connector_id = 'conn_xyz'",
        &["GET None inactive 1000 gAAAAABl==", "trade", "api_response00"],
    )
    .await
}

pub async fn an_update_moves_updated_at_unless_it_sets_it(client: &Client) -> Result<(), Failure> {
    run(client, CONNECTORS).await?;
    run(
        client,
        "update etl.api_connectors set updated_at = '2020-01-01' where connector_id = 'conn_xyz';
         update etl.connector_status set updated_at = '2020-01-01';
         update etl.connector_status set status = 'running' where connector_id = 'conn_abc'",
    )
    .await?;
    expect(
        client,
        "select connector_id || ' ' || (updated_at = now()) from etl.api_connectors
         union all select connector_id || ' ' || (updated_at = now()) from etl.connector_status order by 1",
        &["conn_abc true", "conn_abc true", "conn_xyz false", "conn_xyz false"],
    )
    .await
}

pub async fn the_common_queries_answer(client: &Client) -> Result<(), Failure> {
    run(client, CONNECTORS).await?;
    run(client, MESSAGES).await?;
    run(client, "set local search_path = etl").await?;
    let answers = [
        ("select price::int::text from recent_messages", vec!["102", "101", "100", "7"]),
        ("select exchange || ' ' || count from messages_by_exchange order by 1", vec!["binance 1", "okx 3"]),
        (
            "select price::int::text from price_history where instrument = 'BTC-USDT'
             order by timestamp desc limit 2",
            vec!["102", "101"],
        ),
        (
            "select price::float8::text || ' ' || connector_name from connector_data where connector_id = 'conn_abc'
             order by timestamp desc limit 100",
            vec!["2.5 ABC", "1.5 ABC"],
        ),
        (
            "select exchange || ' ' || messages || ' ' || to_char(last_message at time zone 'UTC', 'HH24:MI')
             from recent_activity order by 1",
            vec!["binance 1 10:01", "okx 3 10:02"],
        ),
        (
            "select table_name || ' ' || row_count from row_counts",
            vec!["websocket_messages 4", "websocket_batches 1", "api_connector_data 3"],
        ),
        ("select count(*)::text from table_sizes where size_bytes > 0", vec!["5"]),
        ("select (database_size like '% kB' or database_size like '% MB')::text from database_size", vec!["true"]),
    ];
    for (question, answer) in answers {
        expect(client, question, &answer).await?;
    }
    Ok(())
}

pub async fn old_rows_are_deleted_and_counted(client: &Client) -> Result<(), Failure> {
    run(client, CONNECTORS).await?;
    run(client, MESSAGES).await?;
    // 90 days before 31 May is 2 March; what is exactly as old stays.
    expect(
        client,
        "select table_name || ' ' || deleted from etl.delete_old_data(as_of => '2026-05-31 10:01Z')",
        &["websocket_messages 2", "websocket_batches 1", "api_connector_data 1"],
    )
    .await?;
    refused(client, "at least one day", "select * from etl.delete_old_data('23 hours')").await
}

pub async fn bad_rows_are_refused_by_name(client: &Client) -> Result<(), Failure> {
    run(client, CONNECTORS).await?;
    let connector = "insert into etl.api_connectors (connector_id, name, api_url, status, polling_interval) values";
    let batch =
        "insert into etl.websocket_batches (exchange, total_messages, messages_per_second, messages) values ('o'";
    for (name, sql) in [
        ("api_connectors_connector_id_key", format!("{connector} ('conn_abc', 'n', 'u', 'running', 1)")),
        ("connector_id", format!("{connector} (null, 'n', 'u', 'running', 1)")),
        ("api_connectors_connector_id_check", format!("{connector} ('', 'n', 'u', 'running', 1)")),
        ("api_connectors_status_check", format!("{connector} ('c', 'n', 'u', 'asleep', 1)")),
        ("api_connectors_polling_interval_check", format!("{connector} ('c', 'n', 'u', 'error', 0)")),
        ("connector_status_connector_id_fkey", "insert into etl.connector_status (connector_id) values ('x')".into()),
        (
            "connector_status_message_count_check",
            "insert into etl.connector_status (connector_id, message_count) values ('conn_abc', -1)".into(),
        ),
        (
            "api_connector_data_connector_id_fkey",
            "insert into etl.api_connector_data (connector_id, data) values ('x', '{}')".into(),
        ),
        ("websocket_batches_total_messages_check", format!("{batch}, -1, 1, '[]')")),
        ("exchange", "insert into etl.websocket_messages (data) values ('{}')".into()),
        ("data", "insert into etl.websocket_messages (exchange) values ('okx')".into()),
    ] {
        refused(client, name, &sql).await?;
    }
    Ok(())
}

pub async fn a_reader_reads_and_an_application_writes(client: &Client) -> Result<(), Failure> {
    run(client, "set local role reader; select * from etl.recent_messages").await?;
    refused(client, "permission denied", "insert into etl.websocket_messages (exchange, data) values ('o', '{}')")
        .await?;
    refused(client, "permission denied", "select * from etl.delete_old_data()").await?;
    run(client, "set local role app").await?;
    run(client, MESSAGES).await?;
    run(client, "select * from etl.delete_old_data()").await
}
