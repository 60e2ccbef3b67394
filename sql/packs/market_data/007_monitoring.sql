-- The guide's monitoring queries as views, with the columns that PostgreSQL and TimescaleDB have today.

create view market_data.database_size as
select
    d.datname as database,
    pg_catalog.pg_database_size(d.oid) / 1024 / 1024 as size_mb
from pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database();
comment on view market_data.database_size is 'Size of the whole database in MiB.';

create view market_data.table_sizes as
with recursive sized as (
    select c.oid, c.relnamespace, c.relname from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p') and not c.relispartition
      and not exists (select from pg_catalog.pg_inherits as i where i.inhrelid = c.oid)
),
parts as (
    select sized.oid as root, sized.oid as part from sized
    union all
    select parts.root, i.inhrelid from parts join pg_catalog.pg_inherits as i on i.inhparent = parts.part
)
select
    n.nspname as schemaname,
    sized.relname as tablename,
    pg_catalog.pg_size_pretty(total.bytes) as size,
    total.bytes as size_bytes
from sized
join pg_catalog.pg_namespace as n on n.oid = sized.relnamespace
cross join lateral (
    select sum(pg_catalog.pg_total_relation_size(parts.part))::bigint as bytes from parts where parts.root = sized.oid
) as total
where n.nspname not in ('pg_catalog', 'information_schema')
order by total.bytes desc;
comment on view market_data.table_sizes is 'Size of each table with its indexes and chunks, largest first.';

create view market_data.chunk_information as
select
    c.hypertable_name,
    c.chunk_name,
    pg_catalog.pg_size_pretty(size.total_bytes) as size,
    c.range_start,
    c.range_end,
    c.is_compressed,
    size.total_bytes
from timescaledb_information.chunks as c
-- What a compressed chunk holds is in another table, which this counts and pg_total_relation_size() does not.
join public.chunks_detailed_size('market_data.ohlcv') as size
    on size.chunk_schema = c.chunk_schema and size.chunk_name = c.chunk_name
where c.hypertable_schema = 'market_data' and c.hypertable_name = 'ohlcv'
order by c.range_start desc;
comment on view market_data.chunk_information is 'Chunks of market_data.ohlcv, newest first.';

create view market_data.compression_stats as
select
    h.hypertable_name,
    s.chunk_name,
    s.compression_status,
    pg_catalog.pg_size_pretty(s.before_compression_total_bytes) as original,
    pg_catalog.pg_size_pretty(s.after_compression_total_bytes) as compressed
from timescaledb_information.hypertables as h
cross join lateral public.chunk_compression_stats(
    pg_catalog.format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
) as s
where h.hypertable_schema = 'market_data' and s.compression_status = 'Compressed';
comment on view market_data.compression_stats is 'Compressed chunks with their sizes before and after; empty in the Apache edition.';

create view market_data.slow_queries as
select query, calls, total_exec_time as total_time, mean_exec_time as mean_time, rows
from public.pg_stat_statements
order by total_exec_time desc
limit 10;
comment on view market_data.slow_queries is 'The ten statements that took most time altogether, in milliseconds.';
