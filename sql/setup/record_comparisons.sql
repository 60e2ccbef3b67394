-- Puts comparisons of one replica on record.
-- $1 text  name of the replica
-- $2 text  a list, as JSON, of rows of hypertide.comparison without replica and time
insert into hypertide.comparison
select $1, e.schema_name, e.table_name, clock_timestamp(), e.lsn, e.is_equal, e.rows_primary, e.rows_replica,
       e.activity_primary, e.activity_replica
from json_to_recordset($2::text::json) e (
  schema_name text, table_name text, lsn pg_lsn, is_equal bool, rows_primary bigint, rows_replica bigint,
  activity_primary text, activity_replica text)
on conflict (replica, schema_name, table_name) do update set
  compared_at = excluded.compared_at, lsn = excluded.lsn, is_equal = excluded.is_equal,
  rows_primary = excluded.rows_primary, rows_replica = excluded.rows_replica,
  activity_primary = excluded.activity_primary, activity_replica = excluded.activity_replica
