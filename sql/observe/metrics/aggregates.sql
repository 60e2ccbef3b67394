-- One row of JSON: how far each continuous aggregate is behind the clock, and what was changed below it since it was refreshed.
-- There is none in the Apache edition.
with changed as (
  select hypertable_id, count(*) as changes
  from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log group by 1
)
select json_build_object('timescaledb_continuous_aggregate', (
  select json_agg(json_build_object(
    'schemaname', a.user_view_schema, 'relname', a.user_view_name,
    -- Time counts in microseconds since 1970. One that was never refreshed is at the beginning of time.
    'lag_seconds', case
      when d.column_type in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype) and w.watermark > -62135596800000000
      then greatest(0, extract(epoch from now()) - w.watermark / 1000000.0) end,
    'invalidations', coalesce(c.changes, 0)))
  from _timescaledb_catalog.continuous_agg a
  left join _timescaledb_catalog.continuous_aggs_watermark w on w.mat_hypertable_id = a.mat_hypertable_id
  left join lateral (
    select column_type from _timescaledb_catalog.dimension
    where hypertable_id = a.mat_hypertable_id order by id limit 1) d on true
  left join changed c on c.hypertable_id = a.raw_hypertable_id
))::text
