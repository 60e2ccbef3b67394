-- One row of JSON: bytes on disk of databases and of tables, with indexes and TOAST. The files are asked, so it takes long with
-- many chunks. Comes after parts/.
, of_hypertables as (
  select h.schemaname, h.relname, sum(pg_total_relation_size(p.oid)) as bytes
  from (select oid, root from part union all select oid, oid from hypertable) p join hypertable h on h.oid = p.root
  group by 1, 2
), of_tables as (
  select schemaname, relname, pg_total_relation_size(oid) as bytes from plain
)
select json_build_object(
  'pg_database', (
    select json_agg(json_build_object('datname', datname, 'size_bytes', pg_database_size(oid)))
    from pg_database where not datistemplate),
  'pg_stat_user_tables', (
    select json_agg(json_build_object(
      'datname', current_database(), 'schemaname', schemaname, 'relname', relname, 'size_bytes', bytes))
    from (select * from of_hypertables union all select * from of_tables) t),
  'timescaledb_hypertable', (
    select json_agg(json_build_object('schemaname', schemaname, 'relname', relname, 'size_bytes', bytes)) from of_hypertables)
)::text
