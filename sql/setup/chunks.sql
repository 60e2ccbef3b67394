-- Chunks: which there are, and how one is made that has exactly the wanted slices. Works in both editions and with every
-- catalog since TimescaleDB 2.19; its own create_chunk() is refused under the Apache licence.
--
-- A slice is the stretch of one dimension that a chunk holds: [start, end) in TimescaleDB's own unit, which is
-- microseconds since 1970 for times and dates, the number itself for integers, the hash for a space dimension.

-- Since 2.29 a chunk's row refers to its table and slices belong to one chunk; before, it has the table's names, and chunks
-- share slices.
create or replace function hypertide.has_chunk_relid() returns bool
language sql stable set search_path = pg_catalog as $$
  select exists (select from pg_attribute where attrelid = '_timescaledb_catalog.chunk'::regclass and attname = 'relid')
$$;

-- Every chunk of these hypertables: its table, its hypertable, its status bits (1: compressed) and one [start, end] per
-- dimension, in the order in which the dimensions were added.
create or replace function hypertide.chunks(roots oid[])
returns table (relation oid, root oid, status int, slices int8[])
-- Right after thousands of chunks were made, statistics still say that there are a few: nested loops would take seconds.
language plpgsql stable set search_path = pg_catalog set enable_nestloop = off as $$
declare
  hypertables text := 'select h.id, c.oid from _timescaledb_catalog.hypertable h
    join pg_namespace n on n.nspname = h.schema_name
    join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name where c.oid = any ($1)';
begin
  if not hypertide.has_chunk_relid() then
    return query execute format('
      select c.oid, h.oid, k.status, s.slices
      from (%s) h
      join _timescaledb_catalog.chunk k on k.hypertable_id = h.id
      join (select q.chunk_id, array_agg(array[s.range_start, s.range_end] order by s.dimension_id) as slices
            from _timescaledb_catalog.chunk_constraint q
            join _timescaledb_catalog.dimension_slice s on s.id = q.dimension_slice_id
            group by q.chunk_id) s on s.chunk_id = k.id
      join pg_namespace n on n.nspname = k.schema_name
      join pg_class c on c.relnamespace = n.oid and c.relname = k.table_name', hypertables) using roots;
  else
    return query execute format('
      select k.relid::oid, h.oid, k.status, s.slices
      from (%s) h
      join _timescaledb_catalog.chunk k on k.hypertable_id = h.id
      join (select s.chunk_id, array_agg(array[s.range_start, s.range_end] order by s.dimension_id) as slices
            from _timescaledb_catalog.dimension_slice s group by s.chunk_id) s on s.chunk_id = k.id', hypertables)
      using roots;
  end if;
end
$$;

-- Changes when anything that sql/observe/chunks.sql lists has changed: a row that is added, changed or removed changes the sum
-- over the transactions that wrote the rows. Reads the rows' headers only, so ten thousand chunks take some milliseconds.
create or replace function hypertide.chunks_digest(roots oid[], publication name) returns text
language sql stable set search_path = pg_catalog as $$
  select md5(format('%s %s %s %s', roots,
    (select row(count(*), sum(hashint8extended(k.xmin::text::int8, k.id))) from _timescaledb_catalog.chunk k),
    (select row(count(*), sum(hashint8extended(c.xmin::text::int8, c.oid::int8)))
     from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = any (roots)),
    (select row(count(*), sum(hashint8extended(m.xmin::text::int8, m.oid::int8)))
     from pg_publication p join pg_publication_rel m on m.prpubid = p.oid where p.pubname = publication)))
$$;

-- The same for sql/observe/subscribed_tables.sql, which changes with every table of a first copy while the chunks stay.
create or replace function hypertide.subscribed_digest(subscription name) returns text
language sql stable set search_path = pg_catalog as $$
  select md5(row(count(*), sum(hashint8extended(m.xmin::text::int8, m.srrelid::int8)))::text)
  from pg_subscription s join pg_subscription_rel m on m.srsubid = s.oid where s.subname = subscription
$$;

-- How a hypertable is partitioned, in the order in which the dimensions were added. Plain columns: a function that took or
-- gave rows of TimescaleDB's own tables would keep an update of the extension from changing them.
create or replace function hypertide.dimensions_of(root oid)
returns table (
  column_name name, column_type regtype, num_slices int2, interval_length int8,
  partitioning_func_schema name, partitioning_func name, integer_now_func_schema name, integer_now_func name
)
language sql stable set search_path = pg_catalog as $$
  select d.column_name, d.column_type, d.num_slices, d.interval_length,
         d.partitioning_func_schema, d.partitioning_func, d.integer_now_func_schema, d.integer_now_func
  from _timescaledb_catalog.dimension d
  join _timescaledb_catalog.hypertable h on h.id = d.hypertable_id
  join pg_namespace n on n.nspname = h.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
  where c.oid = root order by d.id
$$;

-- The present moment in a hypertable's first dimension; null when it has no notion of now.
create or replace function hypertide.now_in(root oid) returns int8
language plpgsql stable set search_path = pg_catalog set timezone = 'UTC' as $$
declare
  dimension record;
  present   int8;
begin
  select d.* into dimension from hypertide.dimensions_of(root) d limit 1;
  if dimension.partitioning_func is null
    and dimension.column_type in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
  then
    return _timescaledb_functions.to_unix_microseconds(now());
  elsif dimension.integer_now_func is not null then
    execute format('select %I.%I()::int8', dimension.integer_now_func_schema, dimension.integer_now_func) into present;
  end if;
  return present;
end
$$;

-- The slices of one chunk, flat: {start, end, start, end, ..}.
create or replace function hypertide.slices_of(chunk regclass) returns int8[]
language plpgsql stable set search_path = pg_catalog as $$
declare
  found_slices int8[];
begin
  if not hypertide.has_chunk_relid() then
    execute 'select array_agg(b.bound order by s.dimension_id, b.place)
      from _timescaledb_catalog.chunk k
      join pg_class c on c.oid = $1 and c.relname = k.table_name
      join pg_namespace n on n.oid = c.relnamespace and n.nspname = k.schema_name
      join _timescaledb_catalog.chunk_constraint q on q.chunk_id = k.id
      join _timescaledb_catalog.dimension_slice s on s.id = q.dimension_slice_id
      cross join lateral (values (1, s.range_start), (2, s.range_end)) b (place, bound)' into found_slices using chunk;
  else
    execute 'select array_agg(b.bound order by s.dimension_id, b.place)
      from _timescaledb_catalog.chunk k
      join _timescaledb_catalog.dimension_slice s on s.chunk_id = k.id
      cross join lateral (values (1, s.range_start), (2, s.range_end)) b (place, bound)
      where k.relid = $1' into found_slices using chunk;
  end if;
  return found_slices;
end
$$;

-- Stores nothing: see hypertide.touch().
create or replace function hypertide.swallow_row() returns trigger language plpgsql as $$ begin return null; end $$;

-- Has TimescaleDB make the chunk that a row with these values would land in, without the row. Null when it is there.
--
-- A trigger that swallows the row is put on the root for the length of this transaction, while TimescaleDB looks away:
-- it would copy the trigger to every chunk. The chunk that is made gets a copy all the same. Meanwhile writers of this
-- hypertable wait. A chunk that was there has no such trigger: what the row then meets undoes it.
create or replace function hypertide.touch(root regclass, columns name[], literals text[]) returns regclass
language plpgsql set search_path = pg_catalog, public as $$
declare
  last_id bigint;
  stored  bigint;
  made    regclass;
begin
  perform set_config('timescaledb.restoring', 'on', true);
  execute format('create trigger "!hypertide_makes_chunk" before insert on %s
                  for each row execute function hypertide.swallow_row()', root);
  perform set_config('timescaledb.restoring', 'off', true);
  select last_value into last_id from _timescaledb_catalog.chunk_id_seq;
  begin
    perform set_config('hypertide.makes_chunk', 'on', true);
    execute format('insert into %s (%s) values (%s)', root,
      (select string_agg(quote_ident(c), ', ' order by place) from unnest(columns) with ordinality u (c, place)),
      (select string_agg(quote_literal(l), ', ' order by place) from unnest(literals) with ordinality u (l, place)));
    get diagnostics stored = row_count;
    if stored > 0 then
      raise exception using errcode = 'triggered_action_exception';
    end if;
    perform set_config('hypertide.makes_chunk', 'off', true);
    select i.inhrelid into made
    from (select coalesce(fields ->> 'relid', format('%I.%I', fields ->> 'schema_name', fields ->> 'table_name'))::regclass
            as relation
          from (select to_jsonb(c) as fields from _timescaledb_catalog.chunk c where c.id >= last_id) k) k
    join pg_inherits i on i.inhparent = root and i.inhrelid = k.relation
    join pg_trigger t on t.tgrelid = i.inhrelid and t.tgname = '!hypertide_makes_chunk';
  exception
    -- It was stored, refused as a write to a replica, or refused by a constraint: it reached a chunk that was there.
    when triggered_action_exception or read_only_sql_transaction or integrity_constraint_violation then
      made := null;
  end;
  perform set_config('timescaledb.restoring', 'on', true);
  execute format('drop trigger "!hypertide_makes_chunk" on %s', root);
  if made is not null then
    execute format('drop trigger "!hypertide_makes_chunk" on %s', made);
  end if;
  perform set_config('timescaledb.restoring', 'off', true);
  return made;
end
$$;

-- A value of a time dimension as a literal of its column's type.
create or replace function hypertide.time_literal(column_type regtype, at int8) returns text
language plpgsql stable set search_path = pg_catalog set timezone = 'UTC' as $$
begin
  case column_type
    when 'timestamptz'::regtype then return _timescaledb_functions.to_timestamp(at)::text;
    when 'timestamp'::regtype then return _timescaledb_functions.to_timestamp_without_timezone(at)::text;
    when 'date'::regtype then return _timescaledb_functions.to_date(at)::text;
    when 'int8'::regtype, 'int4'::regtype, 'int2'::regtype then return at::text;
    else
      raise exception 'a time dimension of type % cannot be mirrored', column_type
        using hint = 'Replicate physically, which copies every chunk exactly.';
  end case;
end
$$;

-- A value whose hash lies in [first, past), as a literal.
create or replace function hypertide.hash_literal(
  column_type regtype, hash_schema name, hash_function name, first int8, past int8
) returns text
language plpgsql stable set search_path = pg_catalog as $$
declare
  candidate text;
  found_literal text;
begin
  -- Hashes spread evenly, so a slice out of n is hit after some n tries.
  candidate := case (select typcategory from pg_type where oid = column_type)
    when 'N' then 'g'
    when 'U' then case when column_type = 'uuid'::regtype then 'md5(g::text)' else 'g::text' end
    when 'D' then $c$timestamptz '2000-01-01 00:00+00' + g * interval '1 day'$c$
    when 'B' then '(g % 2)'
    when 'E' then format('(enum_range(null::%1$s))[1 + g %% array_length(enum_range(null::%1$s), 1)]',
                         column_type)
    when 'I' then $c$'10.0.0.0'::inet + g$c$
    else 'g::text'
  end;
  execute format('select v::text from (select (%s)::%s as v from generate_series(1, 30000) g) c
                  where %I.%I(v) >= $1 and %I.%I(v) < $2 limit 1',
    candidate, column_type, hash_schema, hash_function, hash_schema, hash_function)
    into found_literal using first, past;
  if found_literal is null then
    raise exception 'no value of type % was found that hashes into [%, %)', column_type, first, past
      using hint = 'Replicate physically, which copies every chunk exactly.';
  end if;
  return found_literal;
end
$$;

-- Into how many partitions a space dimension was divided when it had this slice; null when no number gives it.
create or replace function hypertide.partitions_with(first int8, past int8) returns int
language sql immutable set search_path = pg_catalog as $$
  -- TimescaleDB divides 0..2^31-1 into n slices of equal length; the first has no beginning and the last no end.
  select n from generate_series(1, 32767) n
  where case
    when n = 1 then first = -9223372036854775808 and past = 9223372036854775807
    when first = -9223372036854775808 then past = 2147483647 / n
    when past = 9223372036854775807 then first = 2147483647 / n * (n - 1)
    else past - first = 2147483647 / n and first % (2147483647 / n) = 0 and past <= 2147483647 / n * (n - 1)
  end
  limit 1
$$;

-- Makes the chunk that holds this point (one value per dimension) on a publisher, when there is none. Gives its name.
create or replace function hypertide.make_chunk_at(root regclass, point int8[]) returns regclass
language plpgsql set search_path = pg_catalog, public as $$
declare
  dimension  record;
  columns    name[] := '{}';
  literals   text[] := '{}';
  place      int := 0;
  length     int8;
begin
  for dimension in select d.* from hypertide.dimensions_of(root) d loop
    place := place + 1;
    columns := columns || dimension.column_name;
    if dimension.num_slices is null then
      literals := literals || hypertide.time_literal(dimension.column_type, point[place]);
    else
      length := 2147483647 / dimension.num_slices;
      literals := literals || hypertide.hash_literal(
        dimension.column_type, dimension.partitioning_func_schema, dimension.partitioning_func, point[place] / length * length,
        case when point[place] / length >= dimension.num_slices - 1 then 9223372036854775807
             else (point[place] / length + 1) * length end);
    end if;
  end loop;
  return hypertide.touch(root, columns, literals);
end
$$;

-- Makes an empty chunk of exactly these slices ({start, end, start, end, ..}) and this name. Does nothing when it is there.
create or replace function hypertide.make_chunk(root regclass, wanted int8[], wanted_schema name, wanted_name name)
returns void
language plpgsql set search_path = pg_catalog, public as $$
declare
  dimension   record;
  columns     name[] := '{}';
  literals    text[] := '{}';
  undo        text[] := '{}';
  fences      regclass[] := '{}';
  first       int8;
  past        int8;
  place       int := 0;
  partitions  int;
  time_place  int;
  time_type   regtype;
  time_first  int8;
  time_past   int8;
  time_column name;
  unit        int8;
  length      int8;
  fence       regclass;
  made        regclass := to_regclass(format('%I.%I', wanted_schema, wanted_name));
  statement   text;
begin
  if made is not null then
    if hypertide.slices_of(made) is distinct from wanted
      or not exists (select from pg_inherits where inhrelid = made and inhparent = root)
    then
      raise exception 'there is another table called %', made
        using hint = 'Rename or drop it; then the chunk is made.';
    end if;
    return;
  end if;

  for dimension in select d.* from hypertide.dimensions_of(root) d loop
    place := place + 1;
    first := wanted[2 * place - 1];
    past := wanted[2 * place];
    columns := columns || dimension.column_name;
    if dimension.num_slices is not null then
      literals := literals || hypertide.hash_literal(
        dimension.column_type, dimension.partitioning_func_schema, dimension.partitioning_func, first, past);
      -- The publisher's number of partitions may have changed over time; the chunk has the one it was made with.
      partitions := hypertide.partitions_with(first, past);
      if partitions <> dimension.num_slices then
        undo := undo || format('select set_number_partitions(%L, %s, %L)', root, dimension.num_slices, dimension.column_name);
        perform set_number_partitions(root, partitions, dimension.column_name);
      end if;
    else
      literals := literals || hypertide.time_literal(dimension.column_type, first);
      time_place := place; time_first := first; time_past := past;
      time_column := dimension.column_name; time_type := dimension.column_type;
      unit := case when dimension.column_type = 'date'::regtype then 86400000000 else 1 end;
      -- So may have the interval.
      if dimension.interval_length <> past - first then
        undo := undo || format('select set_chunk_time_interval(%L, %s::int8, %L)',
          root, dimension.interval_length, dimension.column_name);
        perform set_chunk_time_interval(root, past - first, dimension.column_name);
      end if;
    end if;
  end loop;
  if 2 * place <> cardinality(wanted) then
    raise exception '% has % dimensions here and % on the publisher', root, place, cardinality(wanted) / 2;
  end if;

  made := hypertide.touch(root, columns, literals);
  if made is not null and hypertide.slices_of(made) <> wanted and time_place is not null then
    -- Its slice of time does not begin at a multiple of its length: the publisher cut it at neighbours that were there
    -- when it was made. Here neighbours are put up for the purpose.
    perform _timescaledb_functions.drop_chunk(made);
    perform set_chunk_time_interval(root, unit, time_column);
    foreach first in array array[time_first - unit, time_past] loop
      literals[time_place] := hypertide.time_literal(time_type, first);
      fence := hypertide.touch(root, columns, literals);
      if fence is not null then
        fences := fences || fence;
      end if;
    end loop;
    length := time_past - time_first;
    while time_first / length <> (time_past - 1) / length loop
      length := length * 2;
    end loop;
    perform set_chunk_time_interval(root, length, time_column);
    literals[time_place] := hypertide.time_literal(time_type, time_first);
    made := hypertide.touch(root, columns, literals);
    foreach fence in array fences loop
      perform _timescaledb_functions.drop_chunk(fence);
    end loop;
  end if;

  foreach statement in array undo loop
    execute statement;
  end loop;
  if made is null then
    raise exception 'another chunk of % already covers %', root, wanted
      using hint = 'Resync the replica: its chunks do not match the publisher''s.';
  end if;
  if hypertide.slices_of(made) <> wanted then
    raise exception 'the chunk of % would have the slices % and not %', root, hypertide.slices_of(made), wanted
      using hint = 'Resync the replica: its chunks do not match the publisher''s.';
  end if;
  execute format('alter table %s rename to %I', made, wanted_name);
  if (select relnamespace::regnamespace::name from pg_class where oid = made) <> wanted_schema then
    execute format('alter table %s set schema %I', made, wanted_schema);
  end if;
  -- TimescaleDB gives a chunk the root's triggers, but not what they are enabled for; replication would not fire them.
  perform set_config('timescaledb.restoring', 'on', true);
  for statement in
    select format('alter table %s enable %s trigger %I', made, case tgenabled when 'R' then 'replica' else 'always' end, tgname)
    from pg_trigger where tgrelid = root and not tgisinternal and tgenabled in ('R', 'A')
  loop
    execute statement;
  end loop;
  perform set_config('timescaledb.restoring', 'off', true);
end
$$;
