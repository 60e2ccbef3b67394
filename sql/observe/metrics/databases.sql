-- One row of JSON: each database's statistics, and how far it is from a wraparound.
select json_build_object(
  'pg_stat_database', (
    select json_agg(json_build_object(
      'datid', s.datid, 'datname', s.datname,
      'numbackends', s.numbackends, 'xact_commit', s.xact_commit, 'xact_rollback', s.xact_rollback,
      'blks_read', s.blks_read, 'blks_hit', s.blks_hit,
      'tup_returned', s.tup_returned, 'tup_fetched', s.tup_fetched, 'tup_inserted', s.tup_inserted,
      'tup_updated', s.tup_updated, 'tup_deleted', s.tup_deleted,
      'conflicts', s.conflicts, 'temp_files', s.temp_files, 'temp_bytes', s.temp_bytes, 'deadlocks', s.deadlocks,
      -- Milliseconds, as postgres_exporter has them.
      'blk_read_time', s.blk_read_time, 'blk_write_time', s.blk_write_time,
      'active_time_seconds_total', s.active_time / 1000,
      'stats_reset', extract(epoch from s.stats_reset)))
    from pg_stat_database s join pg_database d on d.oid = s.datid where not d.datistemplate),
  'pg_stat_database_conflicts', (
    select json_agg(json_build_object(
      'datid', c.datid, 'datname', c.datname,
      'confl_tablespace', c.confl_tablespace, 'confl_lock', c.confl_lock, 'confl_snapshot', c.confl_snapshot,
      'confl_bufferpin', c.confl_bufferpin, 'confl_deadlock', c.confl_deadlock))
    from pg_stat_database_conflicts c join pg_database d on d.oid = c.datid where not d.datistemplate),
  -- Templates too: the oldest of all stops the server. Transactions, whatever postgres_exporter's name for them says.
  'pg_database_wraparound', (
    select json_agg(json_build_object(
      'datname', datname, 'age_datfrozenxid_seconds', age(datfrozenxid), 'age_datminmxid_seconds', mxid_age(datminmxid)))
    from pg_database where datallowconn)
)::text
