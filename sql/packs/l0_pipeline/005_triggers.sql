-- Validation, classification, timestamps, clean-up and logging. None fires where rows arrive by replication.

-- Refused in the name of a constraint, so that whoever loads can tell the reasons apart.
create function l0_pipeline.validate_market_data() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
  broken text;
  told   text;
begin
  new.trading_session := coalesce(l0_pipeline.is_trading_hours(new.datetime), false);
  if (new.high >= new.low and new.open between new.low and new.high and new.close between new.low and new.high
    and new.low > 0 and new.high < 'infinity' and new.volume >= 0)
  then
    return new;
  end if;
  select c.name, c.told into broken, told
  from (values
    (1, 'market_data_high_low', new.high < new.low, format('high %s is below low %s', new.high, new.low)),
    (2, 'market_data_open_range', new.open < new.low or new.open > new.high,
      format('open %s is not within low %s and high %s', new.open, new.low, new.high)),
    (3, 'market_data_close_range', new.close < new.low or new.close > new.high,
      format('close %s is not within low %s and high %s', new.close, new.low, new.high)),
    (4, 'market_data_positive', least(new.open, new.high, new.low, new.close) <= 0, 'prices must be positive'),
    (5, 'market_data_number', greatest(new.open, new.high, new.low, new.close) >= 'infinity', 'prices must be numbers'),
    (6, 'market_data_volume', new.volume < 0, format('volume %s is negative', new.volume))
  ) c (place, name, is_broken, told)
  where c.is_broken order by c.place limit 1;
  if found then
    raise exception '%: %', broken, told
      using errcode = 'check_violation', constraint = broken, schema = tg_table_schema, table = tg_table_name;
  end if;
  -- Something is null that must not be: the column refuses it.
  return new;
end
$$;

create trigger trg_validate_market_data before insert or update on l0_pipeline.market_data
    for each row execute function l0_pipeline.validate_market_data();

create function l0_pipeline.touch_updated_at() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if new.updated_at is not distinct from old.updated_at then
    new.updated_at := now();
  end if;
  return new;
end
$$;

create trigger trg_market_data_updated_at before update on l0_pipeline.market_data
    for each row execute function l0_pipeline.touch_updated_at();
create trigger trg_trading_signals_updated_at before update on l0_pipeline.trading_signals
    for each row execute function l0_pipeline.touch_updated_at();
create trigger trg_pipeline_runs_updated_at before update on l0_pipeline.pipeline_runs
    for each row execute function l0_pipeline.touch_updated_at();
create trigger trg_ready_signals_updated_at before update on l0_pipeline.ready_signals
    for each row execute function l0_pipeline.touch_updated_at();
create trigger trg_data_gaps_updated_at before update on l0_pipeline.data_gaps
    for each row execute function l0_pipeline.touch_updated_at();

-- A run that ends is a success unless it says what went wrong.
create function l0_pipeline.end_pipeline_run() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if old.end_time is null and new.end_time is not null then
    if new.status = 'running' then
      new.status := case when coalesce(new.error_message, '') = '' then 'success' else 'failed' end;
    end if;
    insert into l0_pipeline.system_metrics (metric_name, metric_value, metric_unit, category, subcategory, metadata, measured_at)
    values ('pipeline_duration', extract(epoch from new.end_time - new.start_time), 'seconds', 'pipeline', 'execution_time',
      jsonb_build_object('pipeline_name', new.pipeline_name, 'run_id', new.run_id, 'status', new.status), new.end_time);
  end if;
  return new;
end
$$;

create trigger trg_end_pipeline_run before update on l0_pipeline.pipeline_runs
    for each row execute function l0_pipeline.end_pipeline_run();

create function l0_pipeline.monitor_api_limits() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
  allowed integer := coalesce((select l.daily_credits from l0_pipeline.api_limits l where l.api_key_name = new.api_key_name), 800);
  since   timestamptz := date_trunc('day', new.request_datetime, 'UTC');
  used    bigint;
begin
  select coalesce(sum(u.credits_used), 0) + new.credits_used into used
  from l0_pipeline.api_usage u
  where u.api_key_name = new.api_key_name and u.request_datetime >= since and u.request_datetime < since + interval '1 day';
  new.daily_credits_remaining := allowed - used;
  if used > allowed then
    insert into l0_pipeline.system_metrics (metric_name, metric_value, metric_unit, category, subcategory, metadata)
    values ('api_limit_exceeded', used, 'credits', 'api', 'rate_limiting',
      jsonb_build_object('api_key_name', new.api_key_name, 'daily_limit', allowed));
  end if;
  return new;
end
$$;

create trigger trg_monitor_api_limits before insert on l0_pipeline.api_usage
    for each row execute function l0_pipeline.monitor_api_limits();

create function l0_pipeline.log_trading_signal() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if tg_op = 'INSERT' then
    insert into l0_pipeline.system_metrics (metric_name, metric_value, metric_unit, category, subcategory, symbol, metadata)
    values ('new_signal_created', 1, 'count', 'trading', 'signal_generation', new.symbol,
      jsonb_build_object('signal_id', new.signal_id, 'signal_type', new.signal_type, 'model_source', new.model_source));
  elsif old.actual_outcome is distinct from new.actual_outcome then
    insert into l0_pipeline.system_metrics (metric_name, metric_value, metric_unit, category, subcategory, symbol, metadata)
    values ('signal_outcome_updated', 1, 'count', 'trading', 'signal_tracking', new.symbol,
      jsonb_build_object('signal_id', new.signal_id, 'old_outcome', old.actual_outcome, 'new_outcome', new.actual_outcome));
  end if;
  return null;
end
$$;

create trigger trg_log_trading_signal after insert or update on l0_pipeline.trading_signals
    for each row execute function l0_pipeline.log_trading_signal();

create function l0_pipeline.cleanup_expired_sessions() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  delete from l0_pipeline.user_sessions s where s.expires_at < now();
  return null;
end
$$;

create trigger trg_cleanup_expired_sessions before insert on l0_pipeline.user_sessions
    for each statement execute function l0_pipeline.cleanup_expired_sessions();

-- A signal cannot wait for one that there never was, or for itself.
create function l0_pipeline.check_dependencies() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
  unknown uuid;
begin
  select d.id into unknown from unnest(new.dependencies) d (id)
  where d.id is null or d.id = new.signal_id
    or not exists (select from l0_pipeline.ready_signals s where s.signal_id = d.id)
  limit 1;
  if found then
    raise exception 'ready_signals_dependencies: signal % cannot depend on %', new.signal_id, coalesce(unknown::text, 'null')
      using errcode = 'foreign_key_violation', constraint = 'ready_signals_dependencies', table = 'ready_signals';
  end if;
  return new;
end
$$;

create trigger trg_check_dependencies before insert or update of dependencies on l0_pipeline.ready_signals
    for each row when (new.dependencies <> '{}') execute function l0_pipeline.check_dependencies();
