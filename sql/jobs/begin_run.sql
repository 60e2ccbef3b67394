-- Puts an attempt on record, closes those of the job that nobody runs any more, and keeps five hundred.
-- $1 text  the job   $2 float8  the time it is for, in seconds since 1970, or null   $3 int  the attempt's number
with known as (
  -- Also one that is run by hand before any agent has seen it.
  insert into hypertide.job (job) values ($1) on conflict do nothing
), closed as (
  update hypertide.job_run set outcome = 'interrupted', finished = clock_timestamp()
  where job = $1 and outcome = 'running'
), forgotten as (
  delete from hypertide.job_run where run_id in (
    select run_id from (
      select run_id, row_number() over (order by began desc) as place,
             -- What is told of the job has to stay.
             began = max(began) filter (where outcome = 'succeeded') over () as is_last_success,
             began = max(began) filter (where scheduled_for is not null) over () as is_last_scheduled
      from hypertide.job_run where job = $1) r
    where place >= 500 and is_last_success is not true and is_last_scheduled is not true)
)
insert into hypertide.job_run (job, scheduled_for, attempt)
values ($1, to_timestamp($2), $3)
returning run_id
