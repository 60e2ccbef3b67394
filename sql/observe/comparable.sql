-- Tables a publication carries the rows of, as `hypertide.fingerprint()` wants them, with their activity up to now.
-- Roots of hypertables are left out: their rows are their chunks'.
-- $1 text  name of the publication
with root as (
  select c.oid
  from _timescaledb_catalog.hypertable h
  join pg_namespace n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
)
select n.nspname::text, c.relname::text, f.columns,
       c.relkind = 'p' or exists (
         select from pg_inherits i join root on root.oid = i.inhparent where i.inhrelid = c.oid),
       pg_get_expr(g.qual, g.relid),
       greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0),
       -- Other columns, or another filter, are other rows.
       hypertide.activity(c.oid) || ' ' || hashtextextended(concat_ws(' ', f.columns::text, pg_get_expr(g.qual, g.relid)), 0)
from pg_get_publication_tables($1) g
join pg_class c on c.oid = g.relid
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select coalesce(array_agg(a.attname::text order by a.attname::text collate "C"), '{}') as columns
  from pg_attribute a
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and (g.attrs is null or a.attnum = any (g.attrs))
) f
where n.nspname not in ('hypertide') and n.nspname !~ '^_timescaledb_(catalog|config|cache)$'
  and not exists (select from root where root.oid = c.oid)
order by 1, 2
