-- Chunks the publisher no longer has.

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
    execute format('create table %I.%I (like %s)', gone.schema_name, gone.table_name, gone.root);
    insert into hypertide.retired_chunk values (gone.schema_name, gone.table_name, lsn)
      on conflict on constraint retired_chunk_pkey do update set lsn = excluded.lsn;
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
