-- Indexes, those of constraints included.
select 'index ' || c.schema || '.' || i.relname,
       concat_ws(' ', pg_get_indexdef(x.indexrelid),
         case when not x.indisvalid then 'invalid' end,
         case when x.indisclustered then 'clustered' end,
         case when x.indisreplident then 'replica identity' end)
from own c
join pg_index x on x.indrelid = c.oid
join pg_class i on i.oid = x.indexrelid
