-- Keeps fingerprints for the next backup, and forgets those of tables that are gone.
-- $1 text  JSON list of [schema, table, activity, rows, hash]
with gone as (
  delete from hypertide.chunk_fingerprint f
  where to_regclass(format('%I.%I', f.schema_name, f.table_name)) is null
)
insert into hypertide.chunk_fingerprint (schema_name, table_name, activity, rows, hash)
select e ->> 0, e ->> 1, e ->> 2, (e ->> 3)::bigint, e ->> 4
from json_array_elements($1::text::json) e
on conflict (schema_name, table_name) do update
  set activity = excluded.activity, rows = excluded.rows, hash = excluded.hash
