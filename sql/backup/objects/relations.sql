-- Tables with their columns, and views with their text.
select case c.relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'f' then 'foreign table '
         else 'table ' end || c.name,
       concat_ws(e'\n',
         case c.relkind when 'p' then 'partitioned ' || pg_get_partkeydef(c.oid) end,
         case c.relpersistence when 'u' then 'unlogged' end,
         'owner ' || pg_get_userbyid(c.relowner),
         (select 'access method ' || a.amname from pg_am a where a.oid = c.relam and a.amname <> 'heap'),
         (select 'tablespace ' || t.spcname from pg_tablespace t where t.oid = c.reltablespace),
         (select 'with ' || string_agg(o, ', ' order by o) from unnest(c.reloptions) o),
         case when c.relrowsecurity then 'row security' end,
         case when c.relforcerowsecurity then 'forced row security' end,
         case when c.relkind in ('r', 'p') then case c.relreplident when 'n' then 'replica identity nothing'
           when 'f' then 'replica identity full' when 'i' then 'replica identity index' end end,
         (select 'inherits ' || string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
          from pg_inherits i where i.inhrelid = c.oid),
         pg_get_expr(c.relpartbound, c.oid),
         case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) else (
           select string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
               (select 'collate ' || a.attcollation::regcollation where a.attcollation <> t.typcollation),
               case when a.attnotnull then 'not null' end,
               case a.attidentity when 'a' then 'identity always' when 'd' then 'identity by default' end,
               case a.attgenerated when 's' then 'generated' when 'v' then 'generated virtual' end,
               case when d.oid is not null then 'default ' || pg_get_expr(d.adbin, d.adrelid) end,
               case when a.attstorage <> t.typstorage then 'storage ' || a.attstorage::text end,
               case when a.attcompression <> '' then 'compression ' || a.attcompression::text end,
               -- What else is in there is the server's own.
               (select 'with ' || string_agg(o, ', ' order by o) from unnest(a.attoptions) o where o like 'n_distinct%')),
               e'\n' order by a.attnum)
           from pg_attribute a
           join pg_type t on t.oid = a.atttypid
           left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
           where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
         end)
from own c
where c.relkind in ('r', 'p', 'v', 'm', 'f')
