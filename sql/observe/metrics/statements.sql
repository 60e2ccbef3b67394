-- One row of JSON: statements that took the most time in all. $1 is how many. Their text is not read.
with statement as (
  select userid, dbid, queryid, sum(calls) as calls, sum(total_exec_time) / 1000 as seconds, sum(rows) as rows,
         sum(shared_blk_read_time) / 1000 as read_seconds, sum(shared_blk_write_time) / 1000 as write_seconds
  from pg_stat_statements(false) where queryid is not null
  group by 1, 2, 3 order by seconds desc, queryid limit $1
)
select json_build_object('pg_stat_statements', (
  select json_agg(json_build_object(
    'user', coalesce(r.rolname, ''), 'datname', coalesce(d.datname, ''), 'queryid', s.queryid,
    'calls_total', s.calls, 'seconds_total', s.seconds, 'rows_total', s.rows,
    'block_read_seconds_total', s.read_seconds, 'block_write_seconds_total', s.write_seconds))
  from statement s left join pg_roles r on r.oid = s.userid left join pg_database d on d.oid = s.dbid
))::text
