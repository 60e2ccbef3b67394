-- One row of JSON: everything `DatabaseSeen` holds, except ranges of chunks. Needs TimescaleDB and hypertide's schema.
-- $1 text    name of the cluster's publication
-- $2 text    name of this node's subscription
-- $3 text[]  schemas that are replicated, whether a publication exists yet or not
with publication as (
  select oid, pubname, puballtables from pg_publication where pubname = $1
), scope as (
  -- What is published from here or subscribed to, and what the configuration says is to be.
  select n.oid, n.nspname from pg_namespace n
  where n.nspname !~ '^_timescaledb|^pg_|^information_schema$'
    and (n.nspname = any ($3::text[])
      or n.oid in (select pnnspid from pg_publication_namespace where pnpubid in (select oid from publication))
      or n.oid in (select c.relnamespace from pg_subscription_rel r join pg_class c on c.oid = r.srrelid))
), hypertable as (
  select c.oid as relid, n.nspname as schema_name, c.relname as table_name,
         h.associated_schema_name as chunk_schema, h.num_dimensions as dimensions,
         exists (select from _timescaledb_catalog.compression_settings s where s.relid = c.oid) as compressed
  from _timescaledb_catalog.hypertable h
  join scope n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
), chunk as (
  select c.oid as relid, n.nspname as schema_name, c.relname as table_name,
         h.schema_name as root_schema, h.table_name as root_table
  from hypertable h
  join pg_inherits i on i.inhparent = h.relid
  join pg_class c on c.oid = i.inhrelid
  join pg_namespace n on n.oid = c.relnamespace
), plain as (
  select c.oid as relid, n.nspname as schema_name, c.relname as table_name,
         c.relreplident = 'f'
           or (c.relreplident = 'd' and exists (select from pg_index x where x.indrelid = c.oid and x.indisprimary))
           or (c.relreplident = 'i' and exists (select from pg_index x where x.indrelid = c.oid and x.indisreplident))
           as has_identity
  from pg_class c
  join scope n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and c.relpersistence = 'p'
    and not exists (select from chunk where chunk.relid = c.oid)
)
select json_build_object(
  'extension', (select extversion from pg_extension where extname = 'timescaledb'),
  'license', current_setting('timescaledb.license', true),
  'catalog', (select max(version) from hypertide.catalog),
  'seat', (select row_to_json(n) from hypertide.node n),
  'migrations', (
    select coalesce(json_agg(row_to_json(m)), '[]')
    from (select pack, number, what, checksum from hypertide.schema_migrations order by pack, number) m),
  'is_read_only', exists (
    select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
    where d.datname = current_database() and s.setrole = 0 and 'default_transaction_read_only=on' = any (s.setconfig)),
  -- Reserved by `hypertide.reserve_chunk_names()`.
  'chunk_names_reserved', (select last_value >= 1000000000 from _timescaledb_catalog.chunk_id_seq),
  -- A table that never had a row, or was truncated, has no size. The primary is not asked: its tables may be locked.
  'holds_rows', case
    when (select seat from hypertide.node) is distinct from 'logical' then false
    when exists (select from pg_subscription where subname = $2
                 and subdbid = (select oid from pg_database where datname = current_database())) then false
    else exists (select from plain where pg_relation_size(relid) > 0)
      or exists (select from chunk where pg_relation_size(relid) > 0)
  end,
  'publication', (
    select json_build_object(
      'all_tables', p.puballtables,
      'schemas', (select coalesce(json_agg(n.nspname), '[]') from pg_publication_namespace pn
                  join pg_namespace n on n.oid = pn.pnnspid where pn.pnpubid = p.oid),
      'members', (select coalesce(json_agg(json_build_array(n.nspname, c.relname)), '[]')
                  from pg_get_publication_tables(p.pubname) g
                  join pg_class c on c.oid = g.relid join pg_namespace n on n.oid = c.relnamespace))
    from publication p),
  'tables', (select coalesce(json_agg(json_build_array(schema_name, table_name, has_identity)), '[]') from plain),
  'hypertables', (
    select coalesce(json_agg(json_build_object(
      'schema', schema_name, 'table', table_name, 'chunk_schema', chunk_schema,
      'dimensions', dimensions, 'compressed', compressed)), '[]')
    from hypertable),
  'chunks', (
    select coalesce(json_agg(json_build_array(schema_name, table_name, root_schema, root_table)), '[]') from chunk),
  'subscription', (
    select json_build_object(
      'enabled', s.subenabled,
      'publications', s.subpublications,
      'is_applying', exists (
        select from pg_stat_subscription w where w.subid = s.oid and w.relid is null and w.pid is not null),
      'applied', (
        select w.latest_end_lsn from pg_stat_subscription w
        where w.subid = s.oid and w.relid is null and w.pid is not null limit 1),
      'apply_errors', (select apply_error_count from pg_stat_subscription_stats where subid = s.oid),
      'sync_errors', (select sync_error_count from pg_stat_subscription_stats where subid = s.oid),
      'tables', (
        select coalesce(json_agg(json_build_array(n.nspname, c.relname, r.srsubstate)), '[]')
        from pg_subscription_rel r join pg_class c on c.oid = r.srrelid join pg_namespace n on n.oid = c.relnamespace
        where r.srsubid = s.oid))
    from pg_subscription s where s.subname = $2 and s.subdbid = (select oid from pg_database where datname = current_database()))
)::text
