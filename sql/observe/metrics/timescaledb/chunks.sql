-- Their chunks, by hypertide's own function, which is quick with thousands of them.
, chunk as materialized (
  select k.root, k.status & 1 = 1 as is_compressed, k.slices[1][1] as began, k.slices[1][2] as ends, c.reltuples
  from hypertide.chunks((select array_agg(oid) from hypertable)) k join pg_class c on c.oid = k.relation
)
