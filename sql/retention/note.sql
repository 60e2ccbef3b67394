-- Takes note of the activity of all chunks of these hypertables; what did not change keeps its time.
-- $1 text  JSON list of [schema, table]
insert into hypertide.chunk_activity as k (schema_name, table_name, activity, since, since_xid)
select n.nspname, c.relname, a.activity, clock_timestamp(), pg_snapshot_xmin(pg_current_snapshot())
from hypertide.chunks((
  select array_agg(r.oid)
  from json_array_elements($1::text::json) e
  join pg_namespace s on s.nspname = e ->> 0
  join pg_class r on r.relnamespace = s.oid and r.relname = e ->> 1)) h
join pg_class c on c.oid = h.relation
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (select hypertide.activity(c.oid) as activity) a
where a.activity is not null
on conflict (schema_name, table_name) do update
  set activity = excluded.activity, since = excluded.since, since_xid = excluded.since_xid
  where k.activity <> excluded.activity
