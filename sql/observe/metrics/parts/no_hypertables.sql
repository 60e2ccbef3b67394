-- Begins a question about tables where there is no TimescaleDB.
with hypertable as (
  select null::oid as oid, null::name as schemaname, null::name as relname where false
), part as (
  select null::oid as oid, null::oid as root where false
)
