-- Comparing logical replicas with their primary. The functions are used on both sides; what was found is kept on the
-- primary, in this schema, which is never published. Installed with catalog.sql, in one transaction; safe to run again.

create table if not exists hypertide.comparison (
  replica          text        not null,
  schema_name      text        not null,
  table_name       text        not null,
  compared_at      timestamptz not null default now(),
  lsn              pg_lsn      not null,
  is_equal         bool        not null,
  rows_primary     bigint      not null,
  rows_replica     bigint      not null,
  activity_primary text,
  activity_replica text,
  primary key (replica, schema_name, table_name)
);
comment on table hypertide.comparison is
  'The last time each replicated table was compared, and what its activity on both sides was just before.';
create index if not exists comparison_differs on hypertide.comparison (replica) where not is_equal;

create table if not exists hypertide.verification (
  replica     text        primary key,
  started_at  timestamptz not null,
  finished_at timestamptz not null,
  lsn         pg_lsn      not null,
  compared    int         not null,
  unchanged   int         not null,
  left_out    int         not null,
  rows        bigint      not null,
  is_full     bool        not null
);
comment on table hypertide.verification is
  'The last finished verification of each replica; left_out counts tables that could not be compared in it.';

-- What a table's activity was so far: equal texts mean that no row was changed in between. Null: that cannot be told.
--
-- * The counters of one table only grow. A session adds what its transaction did after that transaction became visible,
--   at most a minute later. Whoever reads them before the rows therefore never has a change in them that is not in the
--   rows. A change that is added late makes the next comparison skip the table once, and the one after that find it.
-- * Counters are lost in a crash, set back by pg_stat_reset() and its kin, and start over on another server. Each of
--   these changes one of the two times.
-- * TRUNCATE and rewrites change the file node, a table made anew has another oid. A column that is added with a
--   default changes rows without touching them, so the columns are part of it.
-- * Rows of compressed chunks are stored, and counted, in another table, and those of partitioned tables in their
--   partitions. Without track_counts nothing is counted at all. In these cases nothing can be told.
-- * What nobody counts (a superuser's own `track_counts = off`, a renamed enum label, a broken disk) is not in it.
--   Therefore an equal comparison is believed for some days only.
create or replace function hypertide.activity(relation oid) returns text
language sql stable as $$
  select case
    when not pg_catalog.current_setting('track_counts')::bool or c.relkind <> 'r'
      or exists (
        select from pg_catalog.pg_inherits i
        join _timescaledb_catalog.compression_settings s on s.relid = i.inhparent
        where i.inhrelid = c.oid)
    then null
    else pg_catalog.concat_ws(' ',
      (select coalesce(extract(epoch from stats_reset)::text, '-') from pg_catalog.pg_stat_wal),
      (select coalesce(extract(epoch from stats_reset)::text, '-') from pg_catalog.pg_stat_database
       where datname = pg_catalog.current_database()),
      c.oid, pg_catalog.pg_relation_filenode(c.oid),
      pg_catalog.pg_stat_get_tuples_inserted(c.oid),
      pg_catalog.pg_stat_get_tuples_updated(c.oid),
      pg_catalog.pg_stat_get_tuples_deleted(c.oid),
      (select pg_catalog.hashtextextended(pg_catalog.string_agg(
         pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.attmissingval),
         ', ' order by a.attnum), 0)
       from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0))
  end
  from pg_catalog.pg_class c where c.oid = relation
$$;

-- Rows and an order-independent hash of each table: the sum of 64-bit hashes of its rows.
-- `tables` is a list of [schema, table, columns, is_tree, filter or null]. Columns come in an order that is the same on
-- both sides, whatever the tables' own order is. A tree is read with everything that inherits from it; a chunk counts
-- as one, since ONLY would leave out what is compressed in it.
-- A problem is told instead of a hash: `locked`, `no_table`, `no_column`.
create or replace function hypertide.fingerprint(tables json)
returns table (place bigint, found_rows bigint, hash text, problem text)
language plpgsql set search_path = pg_catalog set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres'
set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' as $$
declare
  wanted record;
  fields text;
begin
  for wanted in
    select e.ordinality, e.value ->> 0 as schema_name, e.value ->> 1 as table_name, e.value -> 2 as columns,
           (e.value ->> 3)::bool as is_tree, e.value ->> 4 as filter
    from json_array_elements(tables) with ordinality e
  loop
    place := wanted.ordinality;
    found_rows := null;
    hash := null;
    problem := null;
    begin
      select coalesce(string_agg(format('t.%I', c.value), ', ' order by c.ordinality), '') into fields
      from json_array_elements_text(wanted.columns) with ordinality c;
      execute format(
        'select count(*), coalesce(sum(hashtextextended(row(%s)::text, 0)::numeric), 0)::text from %s %I.%I t where %s',
        fields, case when wanted.is_tree then '' else 'only' end, wanted.schema_name, wanted.table_name,
        coalesce(wanted.filter, 'true'))
      into found_rows, hash;
    exception
      when lock_not_available then problem := 'locked';
      when undefined_table or invalid_schema_name then problem := 'no_table';
      when undefined_column then problem := 'no_column';
    end;
    return next;
  end loop;
end
$$;

-- Makes a table equal to `pg_temp.hypertide_theirs`, which holds the primary's rows in these columns. Rows that are on
-- both sides are left alone, so only what differs is written. Tables need no key: rows are told apart by their text,
-- and equal rows by counting them. Examples are keys of rows that differed, never other columns.
-- The caller's transaction holds off everybody else and has session_replication_role = replica.
create or replace function hypertide.take_over(schema_name text, table_name text, columns text[], is_tree bool)
returns table (deleted bigint, inserted bigint, changed bigint, examples text)
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres' set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' as $$
#variable_conflict use_column
declare
  target  text := format('%I.%I', schema_name, table_name);
  source  text := format('%s %I.%I', case when is_tree then '' else 'only' end, schema_name, table_name);
  line    text;
  fields  text;
  key     text;
begin
  if exists (select from timescaledb_information.chunks c
             where c.chunk_schema = schema_name and c.chunk_name = table_name and c.is_compressed) then
    raise exception 'chunk % is compressed on this node', target
      using hint = 'Decompress it here, then repair again: a subscriber must not compress what it still receives.';
  end if;
  select coalesce(string_agg(format('t.%I', c.name), ', ' order by c.place), ''),
         coalesce(string_agg(format('%I', c.name), ', ' order by c.place), '')
  into line, fields from unnest(columns) with ordinality c (name, place);
  select case when count(*) = 0 then 'null::text' else format('json_build_object(%s)::text',
    string_agg(format('%L, t.%I::text', k.attname, k.attname), ', ' order by k.place)) end
  into key
  from (
    select a.attname, p.place
    from (select x.indrelid, x.indkey from pg_index x
          where x.indrelid = target::regclass and (x.indisreplident or x.indisprimary) and x.indisvalid
          order by x.indisreplident desc limit 1) i
    cross join unnest(i.indkey) with ordinality p (attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = p.attnum
    where a.attname = any (columns)
  ) k;

  execute format(
    'create temp table hypertide_ours on commit drop as
     select t.tableoid as part, t.ctid as spot, %1$s as key, row(%2$s)::text as line,
            row_number() over (partition by row(%2$s)::text) as nth
     from %3$s t', key, line, source);
  execute format(
    'create temp table hypertide_new on commit drop as
     select t.ctid as spot, %1$s as key, row(%2$s)::text as line,
            row_number() over (partition by row(%2$s)::text) as nth
     from pg_temp.hypertide_theirs t', key, line);
  create temp table hypertide_same on commit drop as
    select o.part, o.spot as our_spot, n.spot as their_spot
    from pg_temp.hypertide_ours o join pg_temp.hypertide_new n using (line, nth);
  delete from pg_temp.hypertide_ours o
    using pg_temp.hypertide_same s where s.part = o.part and s.our_spot = o.spot;
  delete from pg_temp.hypertide_new n using pg_temp.hypertide_same s where s.their_spot = n.spot;

  execute format(
    'delete from %s t using pg_temp.hypertide_ours o where t.tableoid = o.part and t.ctid = o.spot', source);
  get diagnostics deleted = row_count;
  execute format(
    'insert into %s (%s) overriding system value
     select %s from pg_temp.hypertide_theirs t join pg_temp.hypertide_new n on n.spot = t.ctid', target, fields, line);
  get diagnostics inserted = row_count;
  select count(*) into changed from pg_temp.hypertide_ours o join pg_temp.hypertide_new n using (key);
  select coalesce(json_agg(json_build_object('difference', e.difference, 'key', e.key::json))::text, '[]') into examples
  from (
    select case when n.key is null then 'only_on_replica' when o.key is null then 'only_on_primary' else 'changed' end as difference,
           coalesce(o.key, n.key) as key
    from (select * from pg_temp.hypertide_ours where key is not null) o
    full join (select * from pg_temp.hypertide_new where key is not null) n using (key)
    order by 1, 2 limit 5
  ) e;
  return next;
end
$$;
