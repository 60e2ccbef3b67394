-- Statements that make policies and jobs again, all of them off. `{bgw_job}` is where this version of TimescaleDB keeps them;
-- `{start}`, `{end}` and `{key}` are stretches of time in a job's configuration as arguments.
with ext as (
  select quote_ident(n.nspname) as s from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'
), job as (
  select j.*, ext.s, quote_ident(h.schema_name) || '.' || quote_ident(h.table_name) as own_name, a.mat_hypertable_id is not null as is_aggregate,
         quote_ident(coalesce(a.user_view_schema, h.schema_name)) || '.' || quote_ident(coalesce(a.user_view_name, h.table_name)) as target,
         j.config - 'hypertable_id' - 'mat_hypertable_id' as rest,
         j.proc_schema = '_timescaledb_functions' as is_policy
  from {bgw_job} j
  cross join ext
  left join _timescaledb_catalog.hypertable h on h.id = j.hypertable_id
  left join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = j.hypertable_id
  where j.id >= 1000
), told as (
  select job.*, case proc_name
      when 'policy_retention' then '{drop_after,drop_created_before}'
      when 'policy_compression' then '{compress_after,compress_created_before}'
      when 'policy_reorder' then '{index_name}'
      when 'policy_refresh_continuous_aggregate' then '{start_offset,end_offset}'
    end::text[] as known,
    concat(case when initial_start is not null and fixed_schedule then format(', initial_start => %L', initial_start) end,
      case when timezone is not null then format(', timezone => %L', timezone) end) as start
  from job
), made as (
  select told.*, case
    when not is_policy or known is null then
      format('%s.add_job(%L, %L%s, scheduled => false%s, fixed_schedule => %s%s)', s, format('%I.%I', proc_schema, proc_name),
        schedule_interval, case when config is not null then format(', config => %L', config) else '' end,
        case when check_name is not null then format(', check_config => %L', format('%I.%I', check_schema, check_name)) else '' end,
        fixed_schedule::text, start)
    when proc_name = 'policy_reorder' then
      format('%s.add_reorder_policy(%L, %L%s)', s, target, config ->> 'index_name', start)
    when proc_name = 'policy_refresh_continuous_aggregate' then
      format('%s.add_continuous_aggregate_policy(%L, start_offset => %s, end_offset => %s, schedule_interval => %L::interval%s)', s, target,
        {start}, {end}, schedule_interval, start)
    else
      format('%s.%s(%L, %s => %s%s)', s,
        case proc_name when 'policy_retention' then 'add_retention_policy' else 'add_compression_policy' end, target,
        key, {key}, start)
    end as call
  from told
  left join lateral (select k as key from unnest(known) k where config ? k limit 1) k on true
)
select concat(case when owner <> 10::oid then format('SET ROLE %I; ', pg_get_userbyid(owner)) end,
  format('SELECT %s.alter_job(%s, scheduled => false, schedule_interval => %L, max_runtime => %L, max_retries => %s, retry_period => %L%s);',
    s, call, schedule_interval, max_runtime, max_retries, retry_period,
    -- It is forgotten when it is not said again.
    case when timezone is not null then format(', timezone => %L', timezone) else '' end ||
    case when known is not null and rest - known <> '{}' then
      format(', config => %L::jsonb || jsonb_build_object(%L, (SELECT id FROM _timescaledb_catalog.hypertable WHERE format(''%%I.%%I'', schema_name, table_name) = %L))',
        rest, case when config ? 'mat_hypertable_id' then 'mat_hypertable_id' else 'hypertable_id' end, own_name)
    else '' end),
  case when owner <> 10::oid then ' RESET ROLE;' end)
from made
order by target collate "C", proc_schema collate "C", proc_name collate "C", schedule_interval, rest::text collate "C", initial_start
