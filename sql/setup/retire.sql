-- Chunks the publisher no longer has, and tables a subscription is made without a copy of.

-- An empty table of a root's columns in the place of a chunk. No subscription knows it, so what comes for it is passed over.
create or replace function hypertide.keep_place(chunk_schema name, chunk_name name, root regclass, gone_at pg_lsn)
returns void
language plpgsql set search_path = pg_catalog as $$
begin
  execute format('create table if not exists %I.%I (like %s)', chunk_schema, chunk_name, root);
  insert into hypertide.retired_chunk values (chunk_schema, chunk_name, gone_at)
    on conflict on constraint retired_chunk_pkey do update set lsn = excluded.lsn;
end
$$;

-- Drops chunks, and leaves an empty table of the same columns in each one's place. `lsn`: a position of the publisher's log
-- at which they were gone.
create or replace function hypertide.retire_chunks(schemas name[], names name[], lsn pg_lsn) returns void
language plpgsql set search_path = pg_catalog, public as $$
declare
  gone record;
begin
  for gone in
    select u.schema_name, u.table_name, i.inhrelid::regclass as chunk, i.inhparent::regclass as root
    from unnest(schemas, names) u (schema_name, table_name)
    join pg_inherits i on i.inhrelid = to_regclass(format('%I.%I', u.schema_name, u.table_name))
  loop
    perform _timescaledb_functions.drop_chunk(gone.chunk);
    perform hypertide.keep_place(gone.schema_name, gone.table_name, gone.root, lsn);
  end loop;
end
$$;

-- Drops the tables that keep the places of these chunks.
create or replace function hypertide.forget_retired(schemas name[], names name[]) returns void
language plpgsql set search_path = pg_catalog as $$
declare
  kept record;
begin
  for kept in
    delete from hypertide.retired_chunk r using unnest(schemas, names) u (schema_name, table_name)
    where r.schema_name = u.schema_name and r.table_name = u.table_name
    returning r.schema_name, r.table_name
  loop
    execute format('drop table if exists %I.%I', kept.schema_name, kept.table_name);
  end loop;
end
$$;

-- Has PostgreSQL's own workers copy the tables of a new subscription that are not among these, in the transaction that creates it and
-- before any worker has seen it. Whatever an earlier attempt left in them goes.
create or replace function hypertide.leave_to_workers(subscription name, copied text[]) returns void
language plpgsql set search_path = pg_catalog set session_replication_role = replica as $$
declare
  later regclass;
begin
  for later in
    update pg_subscription_rel r set srsubstate = 'i', srsublsn = null
    from pg_subscription s
    where s.subname = subscription and r.srsubid = s.oid
      and r.srrelid <> all (select to_regclass(name)::oid from unnest(copied) name where to_regclass(name) is not null)
    returning r.srrelid::regclass
  loop
    execute format('delete from only %s', later);
  end loop;
end
$$;
