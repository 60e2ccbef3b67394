-- Which server this is, and where its log is. Runs on any PostgreSQL, with or without TimescaleDB, on a standby too.
select json_build_object(
  'database', current_database(),
  'is_in_recovery', pg_is_in_recovery(),
  'system_identifier', (select system_identifier::text from pg_control_system()),
  'postgres', split_part(current_setting('server_version'), ' ', 1),
  'postgres_major', current_setting('server_version_num')::int / 10000,
  'timescaledb', (select extversion from pg_extension where extname = 'timescaledb'),
  'edition', current_setting('timescaledb.license', true),
  -- Not everybody may read it.
  'preload', case when pg_has_role('pg_read_all_settings', 'member')
    then current_setting('shared_preload_libraries') else '' end,
  'timeline', case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
    else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end,
  'lsn', (case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_lsn() end)::text,
  'is_superuser', current_setting('is_superuser')::bool,
  'has_catalog', to_regprocedure('hypertide.activity(oid)') is not null
    and to_regclass('hypertide.chunk_fingerprint') is not null
)::text
