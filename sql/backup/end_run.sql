-- Puts on record how an attempt ended.
-- $1 bigint  the attempt   $2 text  a RunEnd as JSON
update hypertide.backup_run r
set finished = clock_timestamp(), outcome = case when e.error is null then 'succeeded' else 'failed' end,
    backup_id = e.backup, stored_bytes = e.stored_bytes, rows = e.rows, error = e.error
from jsonb_to_record($2::text::jsonb) as e (backup text, stored_bytes bigint, rows bigint, error text)
where r.run_id = $1
