-- Who could have changed rows without having been counted yet: everybody connected but ourselves and hypertide's sessions that
-- change none (`Session::watch`; the name alone is not believed). Times are ages in seconds.
select extract(epoch from clock_timestamp() - a.backend_start)::float8,
       case when a.state = 'idle' then extract(epoch from clock_timestamp() - a.state_change) end::float8,
       extract(epoch from clock_timestamp() - a.xact_start)::float8
from pg_stat_activity a
where a.pid <> pg_backend_pid()
  and (a.datname = current_database() or a.datname is null)
  and not (a.application_name = 'hypertide watcher'
           and exists (select from pg_roles r where r.oid = a.usesysid and r.rolsuper))
  -- None of these changes a user's row.
  and a.backend_type not in ('autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer', 'walwriter',
    'walsender', 'walreceiver', 'archiver', 'startup', 'logger', 'walsummarizer', 'slotsync worker', 'io worker',
    'logical replication launcher', 'TimescaleDB Background Worker Launcher', 'TimescaleDB Background Worker Scheduler')
