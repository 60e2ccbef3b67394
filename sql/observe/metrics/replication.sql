-- One row of JSON: slots, and who streams. Not those that copy one table for a while: each has a name of its own.
with position as (
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn
), slot as (
  select * from pg_replication_slots where not temporary and slot_name !~ '^pg_[0-9]+_sync_'
)
select json_build_object(
  'pg_replication_slots', (
    select json_agg(json_build_object(
      'slot_name', slot_name, 'database', coalesce(database, ''),
      'active', active, 'pg_wal_lsn_diff', pg_wal_lsn_diff(lsn, restart_lsn)))
    from slot, position),
  'pg_replication_slot', (
    select json_agg(json_build_object(
      'slot_name', slot_name, 'slot_type', slot_type,
      'slot_current_wal_lsn', pg_wal_lsn_diff(lsn, '0/0'),
      'slot_confirmed_flush_lsn', pg_wal_lsn_diff(confirmed_flush_lsn, '0/0'),
      'slot_is_active', active, 'safe_wal_size_bytes', safe_wal_size))
    from slot, position),
  'pg_replication_slot_wal', (
    select json_agg(json_build_object('slot_name', slot_name, 'slot_type', slot_type, 'wal_status', wal_status, 'status', 1))
    from slot where wal_status is not null),
  'pg_stat_replication', (
    -- Two clients may call themselves the same; who is further behind is told.
    select json_agg(json_build_object(
      'application_name', application_name, 'client_addr', client_addr, 'state', state, 'slot_name', slot_name,
      'pg_current_wal_lsn_bytes', bytes, 'pg_wal_lsn_diff', behind))
    from (
      select r.application_name, coalesce(host(r.client_addr), '') as client_addr, coalesce(r.state, '') as state,
             coalesce(s.slot_name, '') as slot_name, max(pg_wal_lsn_diff(p.lsn, '0/0')) as bytes,
             max(pg_wal_lsn_diff(p.lsn, r.replay_lsn)) as behind
      from position p, pg_stat_replication r left join slot s on s.active_pid = r.pid
      where r.application_name !~ '^pg_[0-9]+_sync_'
      group by 1, 2, 3, 4) r)
)::text
