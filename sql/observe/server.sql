-- One row of JSON: everything `ServerSeen` holds, except what is inside the cluster's database.
-- $1 text[]  login roles of the cluster
-- $2 text    name of the cluster's database
select json_build_object(
  'in_recovery', pg_is_in_recovery(),
  -- The last checkpoint's lags behind a promotion.
  'timeline', case when pg_is_in_recovery() then coalesce(
      (select received_tli from pg_stat_wal_receiver),
      (select ('x' || max(left(name, 8)))::bit(32)::int from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'))
    else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end,
  'lsn', case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
  'postgres_major', current_setting('server_version_num')::int / 10000,
  -- A digest of the verifier: enough to compare two nodes, useless for logging in.
  'roles', (
    select coalesce(json_object_agg(rolname, left(encode(sha256(convert_to(coalesce(rolpassword, ''), 'UTF8')), 'hex'), 16)), '{}')
    from pg_authid where rolname = any ($1::text[])),
  'slots', (
    select coalesce(json_object_agg(slot_name, json_build_object(
      'is_logical', slot_type = 'logical',
      'active', active,
      'confirmed', coalesce(confirmed_flush_lsn, restart_lsn),
      'retained_bytes', greatest(0, coalesce(pg_wal_lsn_diff(
          case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn), 0))::bigint,
      'wal_status', wal_status,
      'lost', coalesce(wal_status = 'lost', false))), '{}')
    from pg_replication_slots where not temporary),
  'senders', (
    select coalesce(json_object_agg(application_name, json_build_object(
      'replayed', replay_lsn,
      'flushed', flush_lsn,
      'is_streaming', coalesce(state = 'streaming', false),
      'silent_millis', greatest(0, extract(epoch from clock_timestamp() - reply_time) * 1000)::bigint,
      'sync_state', sync_state)), '{}')
    from pg_stat_replication),
  'synchronous_names', current_setting('synchronous_standby_names'),
  'synchronized_slots', coalesce(current_setting('synchronized_standby_slots', true), ''),
  'is_receiving', exists (select from pg_stat_wal_receiver where status = 'streaming'),
  'received', case when pg_is_in_recovery() then pg_last_wal_receive_lsn() end,
  'heard_millis', (
    select greatest(0, extract(epoch from clock_timestamp() - last_msg_receipt_time) * 1000)::bigint from pg_stat_wal_receiver),
  'upstream', case when pg_is_in_recovery() then substring(current_setting('primary_conninfo') from 'host=''?([^ '']+)') end,
  -- Where the log of this timeline leaves the one before, and that the one before it.
  'branches', case when pg_is_in_recovery() then '[]' else (
    select coalesce(json_agg(m[1]), '[]')
    from regexp_matches(pg_read_file('pg_wal/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '.history', 0, 1000000, true),
                        '^\d+\s+([0-9A-F]+/[0-9A-F]+)', 'gn') m) end,
  -- What was cloned or rewound has an empty file.
  'yields_to', nullif(btrim(pg_read_file('standby.signal', 0, 100, true), E' \n'), ''),
  'has_database', exists (select from pg_database where datname = $2),
  'is_connected_to_it', current_database() = $2,
  'extension', (select extversion from pg_extension where extname = 'timescaledb'),
  'has_catalog', to_regclass('hypertide.node') is not null
)::text
