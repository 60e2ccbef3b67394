-- What a base backup has to know of a server, standby or not.
select json_build_object(
  'is_in_recovery', pg_is_in_recovery(),
  'system_identifier', (select system_identifier::text from pg_control_system()),
  'timeline', case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
    else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end,
  'segment_bytes', (select setting::bigint from pg_settings where name = 'wal_segment_size'),
  'summarizes', coalesce(current_setting('summarize_wal', true)::bool, false),
  'tablespaces', (select coalesce(json_agg(spcname order by spcname), '[]') from pg_tablespace
    where spcname not in ('pg_default', 'pg_global'))
)::text
