-- Puts on record how an attempt ended.
-- $1 bigint  the attempt   $2 text  a RunEnd as JSON
update hypertide.job_run r
set finished = clock_timestamp(), outcome = case when e.error is null then 'succeeded' else 'failed' end,
    rows = e.rows, error = e.error, details = e.details
from jsonb_to_record($2::text::jsonb) as e (rows bigint, error text, details jsonb)
where r.run_id = $1
