-- Puts on record how an attempt ended, and what it found in place of what was found before; a failed one found nothing new.
-- $1 bigint  the attempt   $2 text  a RunEnd as JSON
with told as (
  select * from jsonb_to_record($2::text::jsonb) as e (rows bigint, error text, details jsonb, findings jsonb)
), ended as (
  update hypertide.job_run r
  set finished = clock_timestamp(), outcome = case when e.error is null then 'succeeded' else 'failed' end,
      rows = e.rows, error = e.error, details = e.details
  from told e where r.run_id = $1
  returning r.job, e.error, nullif(e.findings, 'null') as findings
), found as (
  select e.job, f.finding, f.object, f.value
  from ended e, jsonb_to_recordset(e.findings -> 'list') as f (finding text, object text, value double precision)
  where e.error is null
), noted as (
  update hypertide.job j
  set found_at = case when e.findings is not null then clock_timestamp() end,
      findings_left_out = coalesce((e.findings ->> 'left_out')::bigint, 0)
  from ended e where j.job = e.job and e.error is null
), gone as (
  delete from hypertide.job_finding o using ended e
  where o.job = e.job and e.error is null
    and not exists (select from found f where f.finding = o.finding and f.object = o.object)
)
insert into hypertide.job_finding as o (job, finding, object, value)
-- A job that is no longer wanted is not known any more.
select f.job, f.finding, f.object, f.value from found f where exists (select from hypertide.job j where j.job = f.job)
on conflict (job, finding, object) do update set value = excluded.value
