-- One row of JSON: checkpoints, the background writer, the log and its archiver. Needs PostgreSQL 17.
-- What 17 moved elsewhere is told under its old name as well, because dashboards ask for it.
with bgwriter as (
  select s.*, extract(epoch from s.stats_reset) as reset from pg_stat_bgwriter s
), checkpointer as (
  select s.*, extract(epoch from s.stats_reset) as reset from pg_stat_checkpointer s
), backends as (
  -- The documentation of 17 says where buffers_backend went.
  select sum(writes) as writes, sum(fsyncs) as fsyncs from pg_stat_io
  where object = 'relation' and context = 'normal' and backend_type not in ('background writer', 'checkpointer')
), former as (
  select c.num_timed, c.num_requested, c.write_time, c.sync_time, c.buffers_written, b.buffers_clean, b.maxwritten_clean,
         b.buffers_alloc, b.reset, o.writes, o.fsyncs
  from bgwriter b, checkpointer c, backends o
)
select json_build_object(
  'pg_stat_bgwriter', (
    select json_agg(json_build_object(
      'checkpoints_timed_total', num_timed, 'checkpoints_req_total', num_requested,
      'checkpoint_write_time_total', write_time, 'checkpoint_sync_time_total', sync_time,
      'buffers_checkpoint_total', buffers_written, 'buffers_clean_total', buffers_clean,
      'maxwritten_clean_total', maxwritten_clean, 'buffers_backend_total', writes, 'buffers_backend_fsync_total', fsyncs,
      'buffers_alloc_total', buffers_alloc, 'stats_reset_total', reset,
      'checkpoints_timed', num_timed, 'checkpoints_req', num_requested,
      'checkpoint_write_time', write_time, 'checkpoint_sync_time', sync_time,
      'buffers_checkpoint', buffers_written, 'buffers_clean', buffers_clean, 'maxwritten_clean', maxwritten_clean,
      'buffers_backend', writes, 'buffers_backend_fsync', fsyncs, 'buffers_alloc', buffers_alloc))
    from former),
  'pg_stat_checkpointer', (
    select json_agg(json_build_object(
      'num_timed_total', num_timed, 'num_requested_total', num_requested,
      'restartpoints_timed_total', restartpoints_timed, 'restartpoints_req_total', restartpoints_req,
      'restartpoints_done_total', restartpoints_done,
      'write_time_total', write_time, 'sync_time_total', sync_time, 'buffers_written_total', buffers_written,
      'stats_reset_total', reset))
    from checkpointer),
  'pg_stat_archiver', (
    select json_agg(json_build_object(
      'archived_count', archived_count, 'failed_count', failed_count,
      'last_archive_age', extract(epoch from clock_timestamp() - last_archived_time)))
    from pg_stat_archiver),
  'pg_wal', (
    select json_agg(json_build_object('segments', segments, 'size_bytes', bytes))
    from (select count(*) as segments, sum(size) as bytes from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') w)
)::text
