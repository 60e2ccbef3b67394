-- Nothing is kept for chunks where hypertide has no catalog.
, retired as (select null::name as schema_name, null::name as table_name where false)
