-- The guide's common and monitoring queries as views. None shows an encrypted column.

create view etl.recent_messages as
select * from etl.websocket_messages order by "timestamp" desc limit 100;
comment on view etl.recent_messages is 'The hundred latest messages of all exchanges.';

create view etl.messages_by_exchange as
select exchange, count(*) as count from etl.websocket_messages group by exchange;
comment on view etl.messages_by_exchange is 'How many messages each exchange has sent.';

create view etl.price_history as
select instrument, "timestamp", price, exchange from etl.websocket_messages;
comment on view etl.price_history is 'To be asked for one instrument, latest first; the index serves that.';

create view etl.connector_data as
select d.*, c.name as connector_name, c.status as connector_state
from etl.api_connector_data as d
join etl.api_connectors as c using (connector_id);
comment on view etl.connector_data is 'What was collected, with the name and the state of its connector. To be asked for one connector.';

create view etl.recent_activity as
select exchange, count(*) as messages, max("timestamp") as last_message
from etl.websocket_messages group by exchange;
comment on view etl.recent_activity is 'Per exchange, how many messages and the time of the last one.';

create view etl.row_counts as
select 'websocket_messages' as table_name, count(*) as row_count from etl.websocket_messages
union all select 'websocket_batches', count(*) from etl.websocket_batches
union all select 'api_connector_data', count(*) from etl.api_connector_data;
comment on view etl.row_counts is 'Exact counts of the tables that grow; reads them whole.';

create view etl.database_size as
select pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(pg_catalog.current_database())) as database_size;
comment on view etl.database_size is 'Size of the whole database.';

create view etl.table_sizes as
select
    n.nspname as schemaname,
    c.relname as tablename,
    pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size(c.oid)) as size,
    pg_catalog.pg_total_relation_size(c.oid) as size_bytes
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'etl' and c.relkind = 'r'
order by size_bytes desc;
comment on view etl.table_sizes is 'Size of each table with its indexes, largest first.';
