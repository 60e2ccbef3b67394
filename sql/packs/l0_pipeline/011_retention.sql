-- The guide's retention schedule, to read and to carry out.

create view l0_pipeline.retention_schedule (table_name, category, counted_from, keep) as
values
    ('market_data', null, null, null::interval),
    ('trading_signals', null, null, null),
    ('pipeline_runs', null, 'end_time', interval '90 days'),
    ('data_quality_checks', null, 'created_at', interval '90 days'),
    ('api_usage', null, 'request_datetime', interval '30 days'),
    ('backup_metadata', null, 'deactivated_at', interval '7 days'),
    ('ready_signals', null, 'processed_at', interval '7 days'),
    ('data_gaps', null, 'resolved_at', interval '30 days'),
    ('pipeline_health', null, 'measured_at', interval '30 days'),
    ('system_metrics', 'api', 'measured_at', interval '7 days'),
    ('system_metrics', 'system', 'measured_at', interval '14 days'),
    ('system_metrics', 'pipeline', 'measured_at', interval '30 days'),
    ('system_metrics', 'trading', 'measured_at', interval '90 days'),
    ('user_sessions', null, 'expires_at', interval '0');
comment on view l0_pipeline.retention_schedule is 'How long rows are kept, and from when that is counted; null: for ever.';

create function l0_pipeline.kept(table_name text, category text default null) returns interval
language sql stable set search_path = pg_catalog as $$
  select s.keep from l0_pipeline.retention_schedule s
  where s.table_name = $1 and s.category is not distinct from $2
$$;

create function l0_pipeline.cleanup_old_data(as_of timestamptz default now())
returns table (table_name text, deleted bigint)
language plpgsql set search_path = pg_catalog as $$
begin
  table_name := 'api_usage';
  delete from l0_pipeline.api_usage u where u.request_datetime < as_of - (select l0_pipeline.kept('api_usage'));
  get diagnostics deleted = row_count;
  return next;

  table_name := 'pipeline_runs';
  delete from l0_pipeline.pipeline_runs r where r.end_time < as_of - (select l0_pipeline.kept('pipeline_runs'));
  get diagnostics deleted = row_count;
  return next;

  table_name := 'backup_metadata';
  perform l0_pipeline.cleanup_expired_backups(as_of);
  deleted := l0_pipeline.forget_inactive_backups(as_of);
  return next;

  table_name := 'ready_signals';
  perform l0_pipeline.expire_ready_signals(as_of);
  delete from l0_pipeline.ready_signals s
  where s.processed_at < as_of - (select l0_pipeline.kept('ready_signals'))
    -- What nobody processed in time counts from its expiry, what somebody took and dropped as well.
    or (s.processed_at is null and s.expires_at < as_of - (select l0_pipeline.kept('ready_signals')));
  get diagnostics deleted = row_count;
  return next;

  table_name := 'data_gaps';
  delete from l0_pipeline.data_gaps g where g.resolved_at < as_of - (select l0_pipeline.kept('data_gaps'));
  get diagnostics deleted = row_count;
  return next;

  table_name := 'pipeline_health';
  delete from l0_pipeline.pipeline_health h where h.measured_at < as_of - (select l0_pipeline.kept('pipeline_health'));
  get diagnostics deleted = row_count;
  return next;

  table_name := 'system_metrics';
  delete from l0_pipeline.system_metrics m
  using l0_pipeline.retention_schedule s
  where s.table_name = 'system_metrics' and s.category = m.category and m.measured_at < as_of - s.keep;
  get diagnostics deleted = row_count;
  return next;

  table_name := 'data_quality_checks';
  delete from l0_pipeline.data_quality_checks q where q.created_at < as_of - (select l0_pipeline.kept('data_quality_checks'));
  get diagnostics deleted = row_count;
  return next;

  table_name := 'user_sessions';
  delete from l0_pipeline.user_sessions s where s.expires_at < as_of;
  get diagnostics deleted = row_count;
  return next;
end
$$;
comment on function l0_pipeline.cleanup_old_data(timestamptz) is
    'Deletes what the schedule no longer keeps, and says how many rows of each table; nothing of market_data or trading_signals.';
