-- Chunks: the range each of them holds, and in short what else is on it. One line for each, since there may be thousands.
select 'chunk ' || n.nspname || '.' || c.relname,
       concat_ws(e'\n',
         'of ' || pn.nspname || '.' || p.relname,
         (select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname)
          from pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and k.conname ~ '^constraint_\d+$'),
         case when s.compress_relid is not null then 'compressed' end,
         'more ' || md5(concat_ws(e'\n',
           pg_get_userbyid(c.relowner), c.relreplident, array_to_string(c.reloptions, ','),
           (select string_agg(pg_get_indexdef(x.indexrelid), ',' order by x.indexrelid::regclass::text collate "C")
            from pg_index x where x.indrelid = c.oid),
           (select string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ',' order by k.conname)
            from pg_constraint k where k.conrelid = c.oid and k.contype <> 'n'),
           (select string_agg(concat(t.tgname, ' ', t.tgenabled), ',' order by t.tgname)
            from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal))))
from _timescaledb_catalog.hypertable h
join pg_namespace pn on pn.nspname = h.schema_name
join pg_class p on p.relnamespace = pn.oid and p.relname = h.table_name
join pg_inherits i on i.inhparent = p.oid
join pg_class c on c.oid = i.inhrelid
join pg_namespace n on n.oid = c.relnamespace
left join _timescaledb_catalog.compression_settings s on s.relid = c.oid and s.compress_relid is not null
where c.oid = any ($1)
  and h.id not in (select x.compressed_hypertable_id from _timescaledb_catalog.hypertable x where x.compressed_hypertable_id is not null)
