-- A logical replica takes no writes: what an application, or a person at psql, would write here would never reach the
-- primary, and would make the two differ. The apply worker and table copies never fire these triggers, since they are of
-- origin type; TimescaleDB gives them to every new chunk.

-- Refuses, except where hypertide itself makes a chunk, and lets a migration's own rows pass into nothing: those come from
-- the primary. On a replica that became the primary it lets everything pass, until the triggers are taken away. As its owner, since
-- applications may not look at what the node is.
create or replace function hypertide.refuse_write() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if exists (select from hypertide.node where seat = 'primary') then
    if tg_level = 'STATEMENT' then
      return null;
    elsif tg_op = 'DELETE' then
      return old;
    end if;
    return new;
  end if;
  if current_setting('hypertide.migrates', true) = 'on' and (select rolsuper from pg_roles where rolname = session_user) then
    return null;
  end if;
  if tg_level = 'STATEMENT' and tg_op = 'INSERT' and current_setting('hypertide.makes_chunk', true) = 'on' then
    return null;
  end if;
  raise exception 'this node is a logical replica and takes no writes' using
    errcode = 'read_only_sql_transaction',
    hint = 'Write to the primary; `hypertide status` says which node that is.';
end
$$;

-- Takes the triggers from these tables.
create or replace function hypertide.unguard_tables(tables regclass[]) returns void
language plpgsql set search_path = pg_catalog as $$
declare
  guarded regclass;
begin
  foreach guarded in array tables loop
    execute format('drop trigger if exists "!hypertide_read_only" on %1$s;
                    drop trigger if exists "!hypertide_read_only_row" on %1$s', guarded);
  end loop;
end
$$;

-- Puts the triggers on these tables, anew where somebody changed them.
create or replace function hypertide.guard_tables(tables regclass[]) returns void
language plpgsql set search_path = pg_catalog as $$
declare
  guarded regclass;
begin
  perform hypertide.unguard_tables(tables);
  foreach guarded in array tables loop
    execute format('create trigger "!hypertide_read_only" before insert or update or delete or truncate on %1$s
                      for each statement execute function hypertide.refuse_write();
                    create trigger "!hypertide_read_only_row" before insert or update or delete on %1$s
                      for each row execute function hypertide.refuse_write()', guarded);
  end loop;
end
$$;
