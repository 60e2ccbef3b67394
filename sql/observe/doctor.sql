-- One row of JSON: everything `ServerFacts` holds. Calls nothing of TimescaleDB's, which may be missing or not preloaded.
-- $1 text    name of the cluster's database
-- $2 text[]  settings that are wanted, in lower case
select json_build_object(
  -- Of this moment, not of the transaction's beginning.
  'clock', extract(epoch from clock_timestamp())::float8,
  'preload', current_setting('shared_preload_libraries'),
  'timescaledb_installed', (select extversion from pg_extension where extname = 'timescaledb'),
  'timescaledb_available', (select default_version from pg_available_extensions where name = 'timescaledb'),
  'checksums', current_setting('data_checksums')::boolean,
  'fsync', current_setting('fsync')::boolean,
  'full_page_writes', current_setting('full_page_writes')::boolean,
  'encoding', (select pg_encoding_to_char(encoding) from pg_database where datname = $1),
  'settings', (
    select coalesce(json_object_agg(lower(name), json_build_object(
      'value', setting,
      'unit', unit,
      'kind', vartype,
      'source', source)), '{}')
    from pg_settings where lower(name) = any ($2::text[]))
)::text
