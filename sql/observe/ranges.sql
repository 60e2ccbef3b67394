-- The time ranges of the named chunks, as literals of the dimension's own type; time is in UTC.
-- $1 text[]  chunk schemas
-- $2 text[]  chunk names, one for each schema
select c.chunk_schema::text, c.chunk_name::text,
       coalesce(c.range_start_integer::text, c.range_start::text),
       coalesce(c.range_end_integer::text, c.range_end::text)
from unnest($1::text[], $2::text[]) as wanted (chunk_schema, chunk_name)
join timescaledb_information.chunks c
  on c.chunk_schema = wanted.chunk_schema and c.chunk_name = wanted.chunk_name
