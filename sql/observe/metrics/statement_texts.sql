-- One row of JSON: the text of the statements that took the most time in all. $1 is how many. Constants are gone from these kinds of
-- statements only, so others are left out: there may be a password in them.
with statement as (
  select queryid, sum(total_exec_time) as time, min(query) as query
  from pg_stat_statements(true)
  where queryid is not null and query ~* '^\s*(select|insert|update|delete|merge|with)\M' and query !~* 'password'
  group by 1 order by time desc, queryid limit $1
)
select json_build_object('pg_stat_statements', (
  select json_agg(json_build_object(
    'queryid', queryid, 'query', left(regexp_replace(query, '\s+', ' ', 'g'), 120), 'query_id', 1))
  from statement
))::text
