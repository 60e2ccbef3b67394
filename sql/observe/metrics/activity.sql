-- One row of JSON: what backends do, and which locks they hold or wait for.
select json_build_object(
  'pg_stat_activity', (
    -- A state in which nobody is counts 0.
    select json_agg(json_build_object(
      'datname', d.datname, 'state', s.state, 'count', coalesce(a.backends, 0), 'max_tx_duration', coalesce(a.longest, 0)))
    from (values ('active'), ('idle'), ('idle in transaction'), ('idle in transaction (aborted)'), ('fastpath function call'),
                 ('disabled')) s (state)
    cross join (select datname from pg_database where not datistemplate) d
    left join (
      select datname, state, count(*) as backends,
             max(extract(epoch from clock_timestamp() - xact_start)) filter (where backend_type <> 'walsender') as longest
      from pg_stat_activity group by datname, state) a using (datname, state)),
  'pg_locks', (
    select json_agg(json_build_object('datname', d.datname, 'mode', m.mode, 'count', coalesce(l.locks, 0)))
    from (values ('accesssharelock'), ('rowsharelock'), ('rowexclusivelock'), ('shareupdateexclusivelock'), ('sharelock'),
                 ('sharerowexclusivelock'), ('exclusivelock'), ('accessexclusivelock'), ('sireadlock')) m (mode)
    cross join (select oid, datname from pg_database where not datistemplate) d
    left join (
      select database, lower(mode) as mode, count(*) as locks from pg_locks where database is not null group by 1, 2) l
      on l.database = d.oid and l.mode = m.mode)
)::text
