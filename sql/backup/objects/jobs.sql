-- Policies and jobs: what runs, when, on what. Whether they are scheduled is left out, since a drill and a restore turn them
-- off; so are ids. `{bgw_job}` is where this version of TimescaleDB keeps them.
select 'job ' || proc || coalesce(' on ' || target, '') || case when place > 1 then ' #' || place else '' end, definition
from (
  select j.proc_schema || '.' || j.proc_name as proc,
         coalesce(a.user_view_schema || '.' || a.user_view_name, h.schema_name || '.' || h.table_name) as target,
         concat_ws(e'\n',
           'every ' || j.schedule_interval,
           case when j.fixed_schedule then 'at fixed times' end,
           'first at ' || j.initial_start,
           'in ' || j.timezone,
           concat_ws(' ', 'runs for', j.max_runtime, 'tries', j.max_retries, 'again after', j.retry_period),
           'owner ' || j.owner::regrole,
           'checked by ' || j.check_schema || '.' || j.check_name,
           j.config - 'hypertable_id' - 'mat_hypertable_id') as definition,
         row_number() over (
           partition by j.proc_schema, j.proc_name, j.hypertable_id
           order by j.schedule_interval, (j.config - 'hypertable_id' - 'mat_hypertable_id')::text, j.initial_start) as place
  from {bgw_job} j
  left join _timescaledb_catalog.hypertable h on h.id = j.hypertable_id
  left join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = j.hypertable_id
  -- Below are TimescaleDB's own.
  where j.id >= 1000 and $1::oid[] is not null
) jobs
