-- The handover from L0: most urgent first, nothing that has expired, nothing before what it depends on.

create function l0_pipeline.create_ready_signal(
    pipeline_run_id text,
    signal_type text,
    data_start_time timestamptz,
    data_end_time timestamptz,
    records_available integer,
    completeness_pct numeric,
    priority integer default 3,
    expires_in interval default interval '1 hour',
    dependencies uuid[] default '{}',
    symbol text default 'USDCOP',
    timeframe text default '5min',
    quality_score numeric default null,
    metadata jsonb default '{}'
)
returns uuid
language sql set search_path = pg_catalog as $$
  insert into l0_pipeline.ready_signals
    (pipeline_run_id, signal_type, data_start_time, data_end_time, records_available, completeness_pct, priority, expires_at,
     dependencies, symbol, timeframe, quality_score, metadata)
  values
    ($1, $2, $3, $4, $5, $6, $7, now() + $8, $9, $10, $11, $12, $13)
  returning signal_id
$$;
comment on function l0_pipeline.create_ready_signal(
    text, text, timestamptz, timestamptz, integer, numeric, integer, interval, uuid[], text, text, numeric, jsonb) is
    'Says that data is ready; the new signal''s id.';

create function l0_pipeline.is_free(signal l0_pipeline.ready_signals) returns boolean
language sql stable set search_path = pg_catalog as $$
  select not exists (
    select from unnest(signal.dependencies) d (id)
    where not exists (select from l0_pipeline.ready_signals s where s.signal_id = d.id and s.status = 'processed'))
$$;
comment on function l0_pipeline.is_free(l0_pipeline.ready_signals) is 'Everything it depends on is processed.';

create function l0_pipeline.get_pending_ready_signals(signal_type text default null, max_signals integer default 50)
returns setof l0_pipeline.ready_signals
language sql stable set search_path = pg_catalog as $$
  select s.* from l0_pipeline.ready_signals s
  where s.status = 'pending' and s.expires_at > now()
    and ($1 is null or s.signal_type = $1)
    and l0_pipeline.is_free(s)
  order by s.priority, s.created_at, s.signal_id
  limit max_signals
$$;
comment on function l0_pipeline.get_pending_ready_signals(text, integer) is
    'Signals that can be taken now, by priority and then by age: not expired, and everything they depend on is processed.';

create function l0_pipeline.acknowledge_ready_signal(signal_id uuid, acknowledged_by text) returns boolean
language plpgsql set search_path = pg_catalog as $$
begin
  update l0_pipeline.ready_signals s
  set status = 'acknowledged', acknowledged_by = $2, acknowledged_at = now()
  where s.signal_id = $1 and s.status = 'pending' and s.expires_at > now() and l0_pipeline.is_free(s);
  return found;
end
$$;
comment on function l0_pipeline.acknowledge_ready_signal(uuid, text) is
    'Takes a pending signal; false when somebody else has it, it has expired, or it still waits for another one.';

create function l0_pipeline.complete_ready_signal(signal_id uuid, processed_by text, processing_time_ms integer default null)
returns boolean
language plpgsql set search_path = pg_catalog as $$
begin
  update l0_pipeline.ready_signals s
  set status = 'processed', processed_by = $2, processed_at = now(), processing_time_ms = $3
  where s.signal_id = $1 and s.status = 'acknowledged';
  return found;
end
$$;
comment on function l0_pipeline.complete_ready_signal(uuid, text, integer) is
    'Ends an acknowledged signal, also one that expired meanwhile; false when it was not acknowledged.';

create function l0_pipeline.expire_ready_signals(as_of timestamptz default now()) returns bigint
language plpgsql set search_path = pg_catalog as $$
declare
  expired bigint;
begin
  update l0_pipeline.ready_signals s set status = 'expired' where s.status = 'pending' and s.expires_at <= as_of;
  get diagnostics expired = row_count;
  return expired;
end
$$;
comment on function l0_pipeline.expire_ready_signals(timestamptz) is 'Marks pending signals whose time is over; says how many.';
