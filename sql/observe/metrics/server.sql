-- One row of JSON: that the server answers, what it is, and how a standby follows. Asked often, so it is short.
-- The lag in seconds is postgres_exporter's own formula; `hypertide_replication_lag_seconds` is right when the link is cut too.
select json_build_object(
  'pg', json_build_array(json_build_object(
    'version', version(), 'short_version', split_part(current_setting('server_version'), ' ', 1), 'static', 1)),
  'pg_postmaster', json_build_array(json_build_object(
    'start_time_seconds', extract(epoch from pg_postmaster_start_time()))),
  'pg_replication', (
    select json_agg(json_build_object(
      'is_replica', pg_is_in_recovery(),
      'lag_seconds', case
        when not pg_is_in_recovery() or pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
        else replayed end,
      'last_replay_seconds', replayed))
    -- A clock that is set back makes no negative age.
    from (select case when at is not null then greatest(0, extract(epoch from clock_timestamp() - at)) end as replayed
          from pg_last_xact_replay_timestamp() at) r)
)::text
