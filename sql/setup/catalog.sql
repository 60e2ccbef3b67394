-- hypertide's own schema in the cluster's database. Safe to run again; raise CATALOG_VERSION in the planner with it.
create extension if not exists timescaledb;
create extension if not exists pg_stat_statements;
create schema if not exists hypertide;

create table if not exists hypertide.catalog (
  version      int primary key,
  installed_at timestamptz not null default now()
);
comment on table hypertide.catalog is 'Versions of this schema that were installed; the highest is in force.';

create table if not exists hypertide.node (
  only_row bool primary key default true check (only_row),
  node     text   not null,
  seat     text   not null check (seat in ('primary', 'logical', 'physical')),
  epoch    bigint not null
);
comment on table hypertide.node is
  'What this database was provisioned as, and the epoch it believes in. A standby shows its primary''s row.';

create table if not exists hypertide.schema_migrations (
  pack       text not null,
  number     int  not null,
  what       text not null,
  checksum   text not null,
  applied_at timestamptz not null default now(),
  primary key (pack, number)
);
comment on table hypertide.schema_migrations is 'Migrations applied to this database; checksum is SHA-256 of the file.';

-- Chunks made here get numbers far above the publisher's, so that names never clash.
create or replace function hypertide.reserve_chunk_names() returns void
language sql set search_path = pg_catalog as $$
  select setval('_timescaledb_catalog.chunk_id_seq', 1000000000)
  where (select last_value < 1000000000 from _timescaledb_catalog.chunk_id_seq)
$$;

-- While `hypertide.making_chunk` is on, an insert makes its chunk and stores nothing. The apply worker never fires it,
-- since triggers of origin type do not fire there.
create or replace function hypertide.swallow_row() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if current_setting('hypertide.making_chunk', true) = 'on' then
    return null;
  end if;
  return new;
end
$$;

-- Makes an empty chunk of exactly this range and name. Does nothing when a chunk of that name is there already.
-- `stale` are chunks the publisher dropped; those that overlap the range are dropped here too, or they would be in the way.
-- Works in both editions: TimescaleDB's own create_chunk() is refused under the Apache licence.
create or replace function hypertide.make_chunk(
  root regclass, wanted_start text, wanted_end text, wanted_schema name, wanted_name name, stale text[]
) returns void
language plpgsql set search_path = pg_catalog, public set timezone = 'UTC' set default_transaction_read_only = off as $$
declare
  dimension record;
  newest    oid;
  made      record;
  wanted_interval interval;
  stale_chunk text;
  is_in_the_way bool;
begin
  if to_regclass(format('%I.%I', wanted_schema, wanted_name)) is not null then
    return;
  end if;
  if not exists (select from pg_trigger where tgrelid = root and tgname = '!hypertide_swallow_row') then
    -- Row triggers fire in the order of their names, and this one must be first.
    execute format('create trigger "!hypertide_swallow_row" before insert on %s
                    for each row execute function hypertide.swallow_row()', root);
  end if;

  select d.column_name, d.column_type::text as column_type, d.time_interval, d.integer_interval into strict dimension
  from timescaledb_information.dimensions d
  where format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass = root and d.dimension_number = 1;

  -- The publisher's interval may have changed over time; the chunk has the one it was made with.
  if dimension.integer_interval is not null then
    perform set_chunk_time_interval(root, wanted_end::bigint - wanted_start::bigint);
  else
    wanted_interval := wanted_end::timestamptz - wanted_start::timestamptz;
    if wanted_interval <> dimension.time_interval then
      perform set_chunk_time_interval(root, wanted_interval);
    end if;
  end if;

  foreach stale_chunk in array stale loop
    -- Literals of both kinds of dimension compare as what they are only once they are told apart.
    if dimension.integer_interval is null then
      select c.range_start < wanted_end::timestamptz and c.range_end > wanted_start::timestamptz into is_in_the_way
      from timescaledb_information.chunks c
      where format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = to_regclass(stale_chunk);
    else
      select c.range_start_integer < wanted_end::bigint and c.range_end_integer > wanted_start::bigint into is_in_the_way
      from timescaledb_information.chunks c
      where format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = to_regclass(stale_chunk);
    end if;
    if is_in_the_way then
      perform _timescaledb_functions.drop_chunk(to_regclass(stale_chunk));
    end if;
  end loop;

  select max(inhrelid) into newest from pg_inherits where inhparent = root;
  perform set_config('hypertide.making_chunk', 'on', true);
  execute format('insert into %s (%I) values (%L::%s)', root, dimension.column_name, wanted_start, dimension.column_type);
  perform set_config('hypertide.making_chunk', 'off', true);

  select c.oid::regclass as rel, n.nspname, c.relname into made
  from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
  where i.inhparent = root and i.inhrelid > coalesce(newest, 0) order by i.inhrelid desc limit 1;
  if made is null then
    raise exception 'another chunk of % already covers %', root, wanted_start
      using hint = 'Resync the replica: its chunks do not match the publisher''s.';
  end if;
  if not exists (
    select from timescaledb_information.chunks c
    where c.chunk_schema = made.nspname and c.chunk_name = made.relname
      and coalesce(c.range_start_integer::text, c.range_start::text) = wanted_start
      and coalesce(c.range_end_integer::text, c.range_end::text) = wanted_end)
  then
    raise exception 'the chunk of % that begins at % would not have the publisher''s range', root, wanted_start
      using hint = 'Resync the replica: its chunks do not match the publisher''s.';
  end if;
  execute format('alter table %s rename to %I', made.rel, wanted_name);
  if made.nspname <> wanted_schema then
    execute format('alter table %I.%I set schema %I', made.nspname, wanted_name, wanted_schema);
  end if;
end
$$;

-- What the login roles may do in one schema. On a subscriber nobody but the apply worker writes.
create or replace function hypertide.grant_access(schema_name name, writable bool) returns void
language plpgsql set search_path = pg_catalog as $$
declare
  dml text := case when writable then 'select, insert, update, delete' else 'select' end;
begin
  execute format('grant usage on schema %I to replicator, app, reader', schema_name);
  execute format('revoke insert, update, delete, truncate on all tables in schema %I from app', schema_name);
  execute format('grant select on all tables in schema %I to replicator, reader', schema_name);
  execute format('grant %s on all tables in schema %I to app', dml, schema_name);
  execute format('grant execute on all functions in schema %I to app, reader', schema_name);
  execute format('alter default privileges in schema %I grant select on tables to replicator, reader', schema_name);
  execute format('alter default privileges in schema %I revoke insert, update, delete on tables from app', schema_name);
  execute format('alter default privileges in schema %I grant %s on tables to app', schema_name, dml);
  if writable then
    execute format('grant usage on all sequences in schema %I to app', schema_name);
    execute format('alter default privileges in schema %I grant usage on sequences to app', schema_name);
  end if;
end
$$;

insert into hypertide.catalog (version) values (1) on conflict do nothing;
