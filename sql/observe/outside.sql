-- One row of JSON: what the primary has for the outside, by name or by hypertide's mark. Needs TimescaleDB.
-- $1 text[]  declared publications
-- $2 text[]  schemas of declared tables
-- $3 text[]  names of declared tables, one for each schema
-- $4 text[]  declared schemas
-- $5 text[]  declared subscriptions
with publication as (
  select p.*, d.description as comment
  from pg_publication p
  left join pg_description d on d.objoid = p.oid and d.classoid = 'pg_publication'::regclass and d.objsubid = 0
  where p.pubname = any ($1::text[]) or d.description like 'hypertide: reclaim=%'
), hypertable as (
  select c.oid as relid, n.nspname as schema_name, c.relname as table_name,
         exists (select from _timescaledb_catalog.compression_settings s where s.relid = c.oid) as compressed
  from _timescaledb_catalog.hypertable h
  join pg_namespace n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
), chunk as (
  select i.inhrelid as relid, h.relid as root from hypertable h join pg_inherits i on i.inhparent = h.relid
), relation as (
  select c.oid as relid, n.nspname as schema_name, c.relname as table_name, c.relreplident, w.table_name is not null as is_named,
         case
           when c.oid in (select chunk.relid from chunk) then 'chunk'
           when c.relkind in ('r', 'p') and c.relpersistence = 'p' then 'table'
           else 'other'
         end as kind
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join unnest($2::text[], $3::text[]) as w (schema_name, table_name)
    on w.schema_name = n.nspname and w.table_name = c.relname
  where w.table_name is not null or n.nspname = any ($4::text[])
), member as (
  select pr.prpubid, pr.prrelid, pr.prattrs, pr.prqual from pg_publication_rel pr join publication p on p.oid = pr.prpubid
)
select json_build_object(
  'publications', (
    select coalesce(json_agg(json_build_object(
      'name', p.pubname,
      'comment', p.comment,
      'all_tables', p.puballtables,
      'via_root', p.pubviaroot,
      'operations', array_remove(array[
        case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end], null),
      'schemas', (select coalesce(json_agg(n.nspname), '[]') from pg_publication_namespace pn
                  join pg_namespace n on n.oid = pn.pnnspid where pn.pnpubid = p.oid),
      'tables', (select coalesce(json_agg(json_build_array(n.nspname, c.relname,
                          case when m.prattrs is not null then (
                            select json_agg(a.attname) from pg_attribute a
                            where a.attrelid = m.prrelid and a.attnum = any (m.prattrs)) end,
                          pg_get_expr(m.prqual, m.prrelid))), '[]')
                 from member m join pg_class c on c.oid = m.prrelid join pg_namespace n on n.oid = c.relnamespace
                 where m.prpubid = p.oid and m.prrelid not in (select chunk.relid from chunk)),
      -- There may be thousands, and spelling out a filter means to open its table: only where they differ in their bytes,
      -- as they do when columns were dropped before the chunk was made.
      'chunks', (select coalesce(json_agg(json_build_array(n.nspname, c.relname, h.schema_name, h.table_name,
                          case when (m.prattrs, m.prqual::text) is not distinct from (r.prattrs, r.prqual::text) then true
                          else pg_get_expr(m.prqual, m.prrelid) is not distinct from pg_get_expr(r.prqual, r.prrelid)
                            and (select array_agg(a.attname order by a.attname) from pg_attribute a
                                 where a.attrelid = m.prrelid and a.attnum = any (m.prattrs))
                              is not distinct from
                                (select array_agg(a.attname order by a.attname) from pg_attribute a
                                 where a.attrelid = r.prrelid and a.attnum = any (r.prattrs))
                          end)), '[]')
                 from member m join chunk on chunk.relid = m.prrelid
                 join hypertable h on h.relid = chunk.root
                 left join member r on r.prpubid = m.prpubid and r.prrelid = chunk.root
                 join pg_class c on c.oid = m.prrelid join pg_namespace n on n.oid = c.relnamespace
                 where m.prpubid = p.oid),
      'counts', (select json_build_array(count(*) filter (where chunk.relid is null), count(chunk.relid))
                 from pg_get_publication_tables(p.pubname) g left join chunk on chunk.relid = g.relid))), '[]')
    from publication p),
  'relations', (
    select coalesce(json_agg(json_build_object(
      'schema', r.schema_name,
      'table', r.table_name,
      'kind', r.kind,
      'is_full', r.relreplident = 'f',
      'identity', (
        select json_agg(a.attname)
        from pg_index x join pg_attribute a on a.attrelid = x.indrelid and a.attnum = any (x.indkey)
        where x.indrelid = r.relid
          and (r.relreplident = 'd' and x.indisprimary or r.relreplident = 'i' and x.indisreplident)),
      'columns', case when r.is_named then (
        select coalesce(json_object_agg(a.attname, a.attgenerated <> ''), '{}')
        from pg_attribute a where a.attrelid = r.relid and a.attnum > 0 and not a.attisdropped) else '{}' end,
      'compressed', coalesce((select h.compressed from hypertable h where h.relid = r.relid), false))), '[]')
    from relation r where r.is_named or r.kind = 'table'),
  'schemas', (select coalesce(json_agg(nspname), '[]') from pg_namespace where nspname = any ($4::text[])),
  'chunks', (
    select coalesce(json_agg(json_build_array(n.nspname, c.relname, r.schema_name, r.table_name)), '[]')
    from relation r join chunk on chunk.root = r.relid
    join pg_class c on c.oid = chunk.relid join pg_namespace n on n.oid = c.relnamespace
    where r.kind = 'table'),
  'subscriptions', (
    select coalesce(json_agg(json_build_object(
      'name', s.subname,
      'comment', d.description,
      'enabled', s.subenabled,
      'connection', s.subconninfo,
      'publications', s.subpublications,
      'is_applying', w.pid is not null,
      'lag_bytes', greatest(pg_wal_lsn_diff(w.received_lsn, w.latest_end_lsn), 0)::bigint,
      'errors', (select apply_error_count + sync_error_count from pg_stat_subscription_stats where subid = s.oid),
      'tables', (select count(*) from pg_subscription_rel where srsubid = s.oid),
      'copying', (select count(*) from pg_subscription_rel where srsubid = s.oid and srsubstate <> 'r'))), '[]')
    from pg_subscription s
    left join pg_description d on d.objoid = s.oid and d.classoid = 'pg_subscription'::regclass
    left join pg_stat_subscription w on w.subid = s.oid and w.worker_type = 'apply'
    where s.subdbid = (select oid from pg_database where datname = current_database())
      and (s.subname = any ($5::text[]) or d.description like 'hypertide: reclaim=%'))
)::text
