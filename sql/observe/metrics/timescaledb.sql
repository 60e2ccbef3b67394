-- One row of JSON: hypertables, jobs, and TimescaleDB's background workers. Comes after timescaledb/.
, present as (
  select (extract(epoch from now()) * 1000000)::bigint as now
)
select json_build_object(
  'timescaledb_hypertable', (
    select json_agg(json_build_object(
      'schemaname', h.schemaname, 'relname', h.relname,
      'chunks', k.chunks, 'compressed_chunks', k.compressed, 'approximate_rows', k.rows,
      'next_chunk_boundary_timestamp_seconds', k.boundary))
    from hypertable h left join lateral (
      select count(*) as chunks, count(*) filter (where is_compressed) as compressed,
             -- As the last ANALYZE counted; of a chunk that was never counted nothing is known.
             sum(reltuples) filter (where reltuples >= 0) as rows,
             min(ends) filter (where h.is_time and began <= now and now < ends) / 1000000.0 as boundary
      from chunk, present where root = h.oid) k on true),
  -- Jobs run where writes are taken; a standby has a copy of their records only.
  'timescaledb_job', (
    select json_agg(json_build_object(
      'job_id', j.job_id, 'proc_name', j.proc_name,
      'scheduled', j.scheduled, 'runs_total', s.total_runs, 'failures_total', s.total_failures,
      'last_run_success', s.last_run_status = 'Success',
      'last_success_timestamp_seconds', extract(epoch from nullif(s.last_successful_finish, '-infinity')),
      'next_start_timestamp_seconds', extract(epoch from nullif(nullif(j.next_start, '-infinity'), 'infinity'))))
    from timescaledb_information.jobs j left join timescaledb_information.job_stats s using (job_id)
    where not pg_is_in_recovery()),
  'timescaledb_background_workers', json_build_array(json_build_object(
    -- A job is called by its name and number. The launcher is not counted against the limit.
    'used', (select count(*) from pg_stat_activity
             where backend_type ~ '^TimescaleDB.* Scheduler$' or backend_type ~ ' \[[0-9]+\]$'),
    'limit', current_setting('timescaledb.max_background_workers')::int))
)::text
