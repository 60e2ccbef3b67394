-- The guide's monitoring queries as views, with the columns that PostgreSQL and TimescaleDB have today.

create view monitoring.hypertables as
select
    h.hypertable_schema,
    h.hypertable_name,
    d.column_name as time_column,
    d.time_interval as chunk_interval,
    h.num_chunks,
    h.compression_enabled
from timescaledb_information.hypertables as h
join timescaledb_information.dimensions as d
    on d.hypertable_schema = h.hypertable_schema and d.hypertable_name = h.hypertable_name and d.dimension_number = 1
where h.hypertable_schema = 'trading'
order by h.hypertable_name;
comment on view monitoring.hypertables is 'The hypertables of trading, with their chunks'' length and number.';

create view monitoring.database_size as
select pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(pg_catalog.current_database())) as db_size;
comment on view monitoring.database_size is 'Size of the whole database.';

create view monitoring.table_sizes as
select
    n.nspname as schemaname,
    c.relname as tablename,
    pg_catalog.pg_size_pretty(total.bytes) as size,
    total.bytes as size_bytes
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    -- Rows of a hypertable are in its chunks.
    select coalesce(
        (select s.total_bytes from public.hypertable_detailed_size(c.oid::regclass) as s
         where exists (select from timescaledb_information.hypertables as h
                       where h.hypertable_schema = n.nspname and h.hypertable_name = c.relname)),
        pg_catalog.pg_total_relation_size(c.oid)) as bytes
) as total
where n.nspname = 'trading' and c.relkind = 'r'
order by total.bytes desc;
comment on view monitoring.table_sizes is 'Size of each table of trading with its indexes and chunks, largest first.';

create view monitoring.slow_queries as
select query, calls, total_exec_time as total_time, mean_exec_time as mean_time, rows
from public.pg_stat_statements
order by total_exec_time desc
limit 10;
comment on view monitoring.slow_queries is 'The ten statements that took most time altogether, in milliseconds.';

create view monitoring.replication as
select client_addr, application_name, state, sync_state, replay_lag
from pg_catalog.pg_stat_replication;
comment on view monitoring.replication is 'Who replicates from this server; the lag says nothing about completeness.';
