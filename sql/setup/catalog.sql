-- hypertide's own schema in the cluster's database. Safe to run again; raise CATALOG_VERSION in the planner with it.
create extension if not exists timescaledb;
create extension if not exists pg_stat_statements;
create schema if not exists hypertide;

-- What earlier versions had.
drop function if exists hypertide.make_chunk(regclass, text, text, name, name, text[]);
drop function if exists hypertide.hash_literal(_timescaledb_catalog.dimension, int8, int8);
drop function if exists hypertide.chunks_digest(oid[], name, name);
do $$ begin
  if to_regprocedure('hypertide.swallow_row()') is not null and to_regclass('hypertide.retired_chunk') is null then
    drop function hypertide.swallow_row() cascade;
  end if;
end $$;

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
-- A logical replica that was the primary: whose it is since, and whether its rows are those which that node had when the slot was
-- made from which it goes on.
alter table hypertide.node add column if not exists follows text;
alter table hypertide.node add column if not exists resumes boolean not null default false;
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

-- Chunks that the publisher dropped and this subscriber dropped after it. An empty table stands in each one's place, so that
-- changes that are still on their way find a target and are skipped; it goes once everything before `lsn` is applied.
create table if not exists hypertide.retired_chunk (
  schema_name name   not null,
  table_name  name   not null,
  lsn         pg_lsn not null,
  primary key (schema_name, table_name)
);
comment on table hypertide.retired_chunk is 'Dropped chunks whose place is kept until the publisher''s log is applied up to lsn.';

-- A first copy that has begun and has not become a subscription: rows on this replica are its own. It runs while it has its lock.
create table if not exists hypertide.first_copy (
  slot        name        primary key,
  began_at    timestamptz not null default now(),
  tables_left int         not null default 1
);
comment on table hypertide.first_copy is 'The first copy of a logical replica, until it is complete.';

-- Where the primary's log was at which time: one row for each second of the last day. A replica that has confirmed a position
-- has everything that was committed before that time. Unlogged: an idle cluster stays idle.
create unlogged table if not exists hypertide.heartbeat (
  place int primary key,
  beat  timestamptz not null,
  lsn   pg_lsn not null
);
create index if not exists heartbeat_lsn_beat_idx on hypertide.heartbeat (lsn, beat);
comment on table hypertide.heartbeat is 'Written by the agent on the primary each second; turns positions in the log into times.';

-- Writes down where the log is now.
create or replace function hypertide.beat() returns void
language sql set search_path = pg_catalog as $$
  insert into hypertide.heartbeat (place, beat, lsn)
  values (extract(epoch from clock_timestamp())::bigint % 86400, clock_timestamp(), pg_current_wal_insert_lsn())
  on conflict (place) do update set beat = excluded.beat, lsn = excluded.lsn
$$;

-- The latest time at which the log had got no further than this. PL/pgSQL, since it plans what it runs only when it runs it:
-- a standby refuses to plan a query on an unlogged table, also where it would never be executed.
create or replace function hypertide.beat_at(reached pg_lsn) returns timestamptz
language plpgsql stable set search_path = pg_catalog as $$
begin
  if pg_is_in_recovery() then
    return null;
  end if;
  return (select b.beat from hypertide.heartbeat b where b.lsn <= reached order by b.lsn desc, b.beat desc limit 1);
end
$$;

-- Changes of the primary, each written down by the node that took the place. Logged, so that standbys have it as well.
create table if not exists hypertide.promotion (
  epoch               bigint primary key,
  at                  timestamptz not null default now(),
  kind                text not null check (kind in ('switchover', 'failover')),
  from_node           text not null,
  to_node             text not null,
  by_whom             text not null check (by_whom in ('operator', 'agent')),
  why                 text not null,
  write_pause_seconds double precision not null,
  phases              jsonb not null,
  loss                text not null,
  lost_bytes          bigint,
  lost_transactions   bigint
);
comment on table hypertide.promotion is
  'Changes of the primary. phases: pairs of a word and seconds. lost_bytes and lost_transactions are null when nobody knows.';

-- While there is a row whose end has not come, the agent leaves a primary that was stopped alone.
create table if not exists hypertide.failover_pause (
  only_row bool primary key default true check (only_row),
  since    timestamptz not null default now(),
  until    timestamptz,
  by_whom  text not null
);
comment on table hypertide.failover_pause is
  'Failover is paused for maintenance, until that time or (null) until somebody resumes it. A standby shows its primary''s row.';

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

insert into hypertide.catalog (version) values (15) on conflict do nothing;
