-- One row of JSON: everything `DatabaseSeen` holds, except the lists of chunks.sql and subscribed_tables.sql. Needs TimescaleDB and hypertide's schema.
-- $1 text    name of the cluster's publication
-- $2 text    name of this node's subscription
-- $3 text[]  schemas that are replicated, whether a publication exists yet or not
with publication as (
  select oid, pubname, puballtables from pg_publication where pubname = $1
), subscription as (
  select * from pg_subscription
  where subname = $2 and subdbid = (select oid from pg_database where datname = current_database())
), scope as (
  -- What is published from here or subscribed to, and what the configuration says is to be.
  select n.oid, n.nspname from pg_namespace n
  where n.nspname !~ '^_timescaledb|^pg_|^information_schema$|^hypertide$'
    and (n.nspname = any ($3::text[])
      or n.oid in (select pnnspid from pg_publication_namespace where pnpubid in (select oid from publication))
      or n.oid in (select c.relnamespace from pg_subscription_rel r join pg_class c on c.oid = r.srrelid
                   where r.srsubid in (select oid from pg_subscription where subname = $2)))
), hypertable as (
  select h.id, c.oid as relid, n.nspname as schema_name, c.relname as table_name,
         h.associated_schema_name as chunk_schema, h.associated_table_prefix as chunk_prefix,
         exists (select from _timescaledb_catalog.compression_settings s where s.relid = c.oid) as compressed
  from _timescaledb_catalog.hypertable h
  join scope n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
), chunk as materialized (
  select inhrelid as oid from pg_inherits where inhparent in (select relid from hypertable)
), plain as (
  select c.oid as relid, n.nspname as schema_name, c.relname as table_name,
         -- Counted: an "exists" would be answered by reading the indexes of all chunks.
         c.relreplident = 'f' or (select count(*) > 0 from pg_index x where x.indrelid = c.oid
           and case c.relreplident when 'd' then x.indisprimary when 'i' then x.indisreplident else false end)
           as has_identity
  from pg_class c
  join scope n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and c.relpersistence = 'p'
    and c.oid not in (select oid from chunk)
    and not exists (select from hypertide.retired_chunk r
                    where r.schema_name = n.nspname and r.table_name = c.relname)
    -- Where the rows of compressed chunks are; since 2.29 beside the chunks.
    and not exists (select from _timescaledb_catalog.compression_settings s where s.compress_relid = c.oid)
), slot as (
  -- A subscription streams under its slot's name, a standby under its node's.
  select s.slot_name, greatest(s.confirmed_flush_lsn, w.replay_lsn, case when w.pid is null then s.restart_lsn end) as done
  from pg_replication_slots s left join pg_stat_replication w on w.pid = s.active_pid
), roots as (
  select coalesce(array_agg(relid order by relid), '{}') as oids from hypertable
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
  -- Publications and subscriptions made for the outside (`outside.sql`).
  'has_marks', exists (select from pg_description
                       where classoid in ('pg_publication'::regclass, 'pg_subscription'::regclass)
                         and description like 'hypertide: reclaim=%'),
  -- A table that never had a row, or was truncated, has no size. The file is asked for it: pg_relation_size() would wait for
  -- whoever has locked the table.
  'holds_rows', case
    when (select seat from hypertide.node) is distinct from 'logical' then false
    when exists (select from subscription) or exists (select from hypertide.first_copy) then false
    else exists (select from plain where (pg_stat_file(pg_relation_filepath(relid), true)).size > 0)
      or exists (select from pg_inherits where inhparent in (select relid from hypertable)
                 and (pg_stat_file(pg_relation_filepath(inhrelid), true)).size > 0)
  end,
  -- While it runs.
  'tables_to_copy', (
    select f.tables_left from hypertide.first_copy f
    where f.slot = $2 and exists (
      select from pg_locks l
      where l.locktype = 'advisory' and l.granted and (l.classid, l.objid, l.objsubid) = (1668247673, 1, 2)
        and l.database = (select oid from pg_database where datname = current_database()))),
  'publication', (
    select json_build_object(
      'all_tables', p.puballtables,
      'schemas', (select coalesce(json_agg(n.nspname), '[]') from pg_publication_namespace pn
                  join pg_namespace n on n.oid = pn.pnnspid where pn.pnpubid = p.oid))
    from publication p),
  'tables', (
    select coalesce(json_agg(json_build_object(
      'schema', p.schema_name, 'table', p.table_name, 'has_identity', p.has_identity,
      'is_guarded', (select count(*) = 2 from pg_trigger t
                     where t.tgrelid = p.relid and t.tgenabled = 'O'
                       and t.tgname in ('!hypertide_read_only', '!hypertide_read_only_row')),
      'columns', (select coalesce(json_agg(json_build_array(
                           a.attname, format_type(a.atttypid, a.atttypmod),
                           a.attnotnull and not a.atthasdef and a.attidentity = '', a.attgenerated <> '')), '[]')
                  from pg_attribute a where a.attrelid = p.relid and a.attnum > 0 and not a.attisdropped))), '[]')
    from plain p),
  -- Tables of TimescaleDB's own schema that are no chunks of these hypertables: a chunk may be lacking their names.
  'strangers', (
    select coalesce(json_agg(json_build_array(n.nspname, c.relname)), '[]')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname in (select chunk_schema from hypertable where chunk_schema ~ '^_timescaledb')
      and c.oid not in (select oid from chunk)
      and not exists (select from hypertide.retired_chunk r where r.schema_name = n.nspname and r.table_name = c.relname)),
  'hypertables', (
    select coalesce(json_agg(json_build_object(
      'schema', h.schema_name, 'table', h.table_name, 'chunk_schema', h.chunk_schema, 'chunk_prefix', h.chunk_prefix, 'compressed', h.compressed,
      'now', hypertide.now_in(h.relid),
      -- Some of its eight newest chunks (for each slice of hashes) holds rows, or it has fewer.
      'is_fed', (select count(*) < n.newest or bool_or((pg_stat_file(pg_relation_filepath(f.inhrelid), true)).size > 0)
                 from (select 8 * coalesce(sum(d.num_slices), 1)::int as newest
                       from _timescaledb_catalog.dimension d where d.hypertable_id = h.id) n
                 left join lateral (select i.inhrelid from pg_inherits i where i.inhparent = h.relid
                                    order by i.inhrelid desc limit n.newest) f on true
                 group by n.newest),
      'dimensions', (select json_agg(json_build_object(
                       'column', d.column_name, 'column_type', d.column_type::text,
                       'interval', d.interval_length, 'partitions', d.num_slices) order by d.id)
                     from _timescaledb_catalog.dimension d where d.hypertable_id = h.id))), '[]')
    from hypertable h),
  'retired', (select coalesce(json_agg(json_build_array(schema_name, table_name, lsn)), '[]') from hypertide.retired_chunk),
  'auto_publication', nullif(current_setting('timescaledb.enable_chunk_auto_publication', true), '')::bool,
  'risky_settings', (
    select coalesce(json_agg(name), '[]') from pg_settings
    where (name in ('timescaledb.enable_delete_after_compression', 'timescaledb.enable_direct_compress_insert',
                    'timescaledb.enable_direct_compress_copy') and setting = 'on')
      or (name = 'timescaledb.compress_truncate_behaviour' and setting <> 'truncate_only' and source <> 'default')),
  'jobs', (
    select coalesce(json_agg(json_build_array(format('%s [%s]', j.application_name, j.job_id), h.schema_name, h.table_name)), '[]')
    from timescaledb_information.jobs j
    join hypertable h on h.schema_name = j.hypertable_schema and h.table_name = j.hypertable_name
    where j.scheduled),
  'behind_millis', (
    select coalesce(json_object_agg(slot_name, millis), '{}') from (
      select s.slot_name, (extract(epoch from clock_timestamp() - hypertide.beat_at(s.done)) * 1000)::bigint as millis
      from slot s where not pg_is_in_recovery()) m
    where millis is not null),
  'subscription', (
    select json_build_object(
      'enabled', s.subenabled,
      'flushes', s.subsynccommit <> 'off',
      'publications', s.subpublications,
      -- A worker that fails at its first change is begun again and again and lives for milliseconds. After a failure it counts
      -- when it has done all that it was sent, or has lasted.
      'is_applying', exists (
        select from pg_stat_subscription w
        join pg_stat_subscription_stats f on f.subid = w.subid
        left join pg_stat_activity a on a.pid = w.pid
        where w.subid = s.oid and w.relid is null and w.pid is not null
          and (f.apply_error_count = 0 or w.latest_end_lsn is not null or a.backend_start < now() - interval '5 seconds')),
      'applied', (
        select max(w.latest_end_lsn) from pg_stat_subscription w
        where w.subid = s.oid and w.relid is null and w.pid is not null),
      'upstream', substring(s.subconninfo from 'host=''?([^ '']+)'),
      -- The end of the last transaction of the publisher's that was applied here.
      'committed', (select pg_replication_origin_progress(o.roname, false) from pg_replication_origin o where o.roname = 'pg_' || s.oid),
      'apply_errors', (select apply_error_count from pg_stat_subscription_stats where subid = s.oid),
      'sync_errors', (select sync_error_count from pg_stat_subscription_stats where subid = s.oid))
    from subscription s),
  -- On the primary: how each logical replica compared last.
  'verified', (
    select coalesce(json_object_agg(v.replica, json_build_object(
      'finished_at', to_char(v.finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'finished_secs', extract(epoch from v.finished_at)::bigint,
      'compared', v.compared,
      'left_out', v.left_out,
      'mismatches', coalesce(d.mismatches, 0),
      'differing', coalesce(d.differing, '[]'))), '{}')
    from (
      select replica, finished_at, compared + unchanged as compared, left_out from hypertide.verification
      union all
      -- A first verification that has not finished may have found something already.
      select distinct replica, null::timestamptz, 0, 0 from hypertide.comparison c
      where not is_equal and not exists (select from hypertide.verification o where o.replica = c.replica)
    ) v
    left join lateral (
      select count(*) as mismatches,
             json_agg(json_build_array(f.schema_name, f.table_name)) filter (where f.place <= 20) as differing
      from (
        select c.schema_name, c.table_name, row_number() over (order by c.schema_name, c.table_name) as place
        from hypertide.comparison c
        -- What was dropped since differs no more.
        join pg_namespace n on n.nspname = c.schema_name
        join pg_class t on t.relnamespace = n.oid and t.relname = c.table_name
        where c.replica = v.replica and not c.is_equal
      ) f
    ) d on true),
  'backups', hypertide.backup_jobs(),
  'promotions', (
    select coalesce(json_agg(p order by p.epoch desc), '[]')
    from (
      select epoch, date_trunc('second', at) as at, kind, from_node, to_node, by_whom, why, write_pause_seconds, phases, loss,
             lost_bytes, lost_transactions
      from hypertide.promotion order by epoch desc limit 10) p),
  'promotion_counts', (
    select coalesce(json_agg(p), '[]')
    from (select kind, by_whom, count(*) as changes from hypertide.promotion group by 1, 2 order by 1, 2) p),
  'failover_paused', (
    select json_build_object('since', date_trunc('second', since), 'until', date_trunc('second', until))
    from hypertide.failover_pause where until is null or until > now()),
  'roots', (select oids::int8[] from roots),
  'digest', hypertide.chunks_digest((select oids from roots), $1),
  'subscribed_digest', hypertide.subscribed_digest($2)
)::text
