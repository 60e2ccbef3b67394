-- Attempts of data jobs as a JSON array, the last first.
-- $1 text  one job, or null for all   $2 bigint  how many
select coalesce(json_agg(r order by r.began desc, r.run_id desc), '[]')::text
from (
  select run_id, job, scheduled_for, attempt, began, finished,
         extract(epoch from finished - began)::float8 as seconds,
         hypertide.run_outcome('hypertide.job', job, outcome) as outcome, rows, error, details
  from hypertide.job_run
  where $1::text is null or job = $1
  order by began desc, run_id desc
  limit $2) r
