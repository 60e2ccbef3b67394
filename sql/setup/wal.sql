-- How far the log is archived. One row, written by the agent on the primary when something changes.
create table if not exists hypertide.wal_archive (
  only_row     bool primary key default true check (only_row),
  job          text not null,
  store        text not null,
  timeline     bigint,
  archived_lsn pg_lsn,
  archived_at  timestamptz,
  phase        text not null check (phase in ('archiving', 'waiting', 'resting', 'failing')),
  because      text,
  gap          text,
  spool_bytes  bigint not null,
  seen_at      timestamptz not null
);
comment on table hypertide.wal_archive is 'How far the write-ahead log is in its archive, and what keeps it from going on.';

-- What would be lost if this server were: bytes of log that are not archived, and the age of the first of them. No row without an
-- archive. PL/pgSQL, since a standby refuses to plan what it would not execute.
create or replace function hypertide.wal_exposure(out bytes bigint, out seconds float8) returns setof record
language plpgsql stable set search_path = pg_catalog as $$
declare
  archive hypertide.wal_archive;
begin
  select * into archive from hypertide.wal_archive;
  if not found or pg_is_in_recovery() then
    return;
  end if;
  bytes := greatest(0, pg_current_wal_insert_lsn() - coalesce(archive.archived_lsn, '0/0'));
  seconds := 0;
  -- A page's header alone is nothing that could be lost.
  if bytes <= 40 then
    bytes := 0;
  else
    seconds := extract(epoch from clock_timestamp()
      - coalesce(hypertide.beat_at(archive.archived_lsn), archive.archived_at));
  end if;
  return next;
end
$$;
