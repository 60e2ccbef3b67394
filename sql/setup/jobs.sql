-- Data jobs: SQL of the configuration's and of the packs', and retention, as the agent runs them on the primary.

create table if not exists hypertide.job (
  job        text primary key,
  first_seen timestamptz not null default now()
);
comment on table hypertide.job is 'Data jobs that are wanted, since they are known: no time before that is made up for.';
comment on column hypertide.job.job is 'Its name.';
comment on column hypertide.job.first_seen is 'When an agent saw it first.';

-- When its last run that succeeded told findings, and how many more there were than are kept.
alter table hypertide.job add column if not exists found_at timestamptz;
alter table hypertide.job add column if not exists findings_left_out bigint not null default 0;
comment on column hypertide.job.found_at is 'When its last run that succeeded told findings; null when it told none.';
comment on column hypertide.job.findings_left_out is 'How many more findings there were than are kept.';

create table if not exists hypertide.job_finding (
  job     text not null references hypertide.job on delete cascade,
  finding text not null,
  object  text not null,
  value   double precision,
  since   timestamptz not null default clock_timestamp(),
  primary key (job, finding, object)
);
comment on table hypertide.job_finding is 'What data jobs found when they succeeded last; fifty of each job are kept.';
comment on column hypertide.job_finding.job is 'The job.';
comment on column hypertide.job_finding.finding is 'What was found.';
comment on column hypertide.job_finding.object is 'Of what.';
comment on column hypertide.job_finding.value is 'How much.';
comment on column hypertide.job_finding.since is 'When a run found it first, of those that found it without a break.';

create table if not exists hypertide.job_run (
  run_id        bigint generated always as identity primary key,
  job           text not null,
  scheduled_for timestamptz,
  attempt       int not null default 0,
  began         timestamptz not null default clock_timestamp(),
  finished      timestamptz,
  outcome       text not null default 'running' check (outcome in ('running', 'succeeded', 'failed', 'interrupted')),
  rows          bigint,
  error         text,
  details       jsonb
);
create index if not exists job_run_job_began_idx on hypertide.job_run (job, began desc);

comment on table hypertide.job_run is 'Attempts of data jobs; five hundred of each job are kept.';
comment on column hypertide.job_run.run_id is 'Counts up.';
comment on column hypertide.job_run.job is 'The job.';
comment on column hypertide.job_run.scheduled_for is 'The time of its schedule that this attempt is for; null when somebody asked for it.';
comment on column hypertide.job_run.attempt is '0 for the first attempt for that time.';
comment on column hypertide.job_run.began is 'When it began.';
comment on column hypertide.job_run.finished is 'When it ended, in whatever way.';
comment on column hypertide.job_run.outcome is 'How it ended; interrupted: whoever ran it was ended in the middle.';
comment on column hypertide.job_run.rows is 'Rows that its last statement gave or changed; of retention, rows that were dropped.';
comment on column hypertide.job_run.error is 'Why it failed.';
comment on column hypertide.job_run.details is 'Of retention: what was dropped of each hypertable, and what was kept and why.';

grant select on hypertide.job, hypertide.job_run, hypertide.job_finding to reader, monitor;

-- Data jobs and what they did, as one JSON document of the shape of `hypertide.backup_jobs()`.
create or replace function hypertide.data_jobs() returns json
language sql stable set search_path = pg_catalog as $$
  select json_build_object(
    'now', extract(epoch from clock_timestamp())::bigint,
    'jobs', coalesce((
      select json_object_agg(j.job, json_build_object(
        'known_since', extract(epoch from j.first_seen)::bigint,
        'findings', case when j.found_at is not null then json_build_object(
                   'found', extract(epoch from j.found_at)::bigint, 'left_out', j.findings_left_out,
                   'list', (select coalesce(json_agg(json_build_object('finding', f.finding, 'object', f.object, 'value', f.value)
                                                     order by f.finding, f.object), '[]')
                            from hypertide.job_finding f where f.job = j.job)) end,
        'last', (select json_build_object(
                   'began', extract(epoch from r.began)::bigint, 'finished', extract(epoch from r.finished)::bigint,
                   'outcome', hypertide.run_outcome('hypertide.job', j.job, r.outcome), 'error', r.error)
                 from hypertide.job_run r where r.job = j.job order by r.began desc, r.run_id desc limit 1),
        'scheduled', (select json_build_object(
                   'occurrence', extract(epoch from r.scheduled_for)::bigint, 'attempt', r.attempt,
                   'began', extract(epoch from r.began)::bigint, 'finished', extract(epoch from r.finished)::bigint,
                   'outcome', hypertide.run_outcome('hypertide.job', j.job, r.outcome))
                 from hypertide.job_run r where r.job = j.job and r.scheduled_for is not null
                 order by r.began desc, r.run_id desc limit 1),
        'succeeded', (select json_build_object(
                   'began', extract(epoch from r.began)::bigint, 'finished', extract(epoch from r.finished)::bigint,
                   'rows', r.rows)
                 from hypertide.job_run r where r.job = j.job and r.outcome = 'succeeded'
                 order by r.began desc, r.run_id desc limit 1)))
      from hypertide.job j), '{}'))
$$;

-- Since when chunks that retention may drop are unchanged, as far as anybody looked: `since` is when this activity was seen first,
-- and every transaction from `since_xid` on may have come after that.
create table if not exists hypertide.chunk_activity (
  schema_name name not null,
  table_name  name not null,
  activity    text not null,
  since       timestamptz not null,
  since_xid   xid8 not null,
  primary key (schema_name, table_name)
);
comment on table hypertide.chunk_activity is 'Since when chunks of hypertables with a retention rule are known to be unchanged.';
comment on column hypertide.chunk_activity.schema_name is 'The chunk''s schema.';
comment on column hypertide.chunk_activity.table_name is 'The chunk.';
comment on column hypertide.chunk_activity.activity is 'hypertide.activity() of it.';
comment on column hypertide.chunk_activity.since is 'When that was seen first.';
comment on column hypertide.chunk_activity.since_xid is 'Transactions before this one had ended then.';

-- Drops a chunk, and says how many rows and bytes that were. With `since_xid` it is dropped only when no row of it was written by
-- that transaction or a later one: counters may be told of late, rows are not.
create or replace function hypertide.drop_old_chunk(chunk regclass, since_xid xid8, out dropped bool, out rows bigint, out bytes bigint)
language plpgsql set search_path = pg_catalog as $$
declare
  later bigint;
  span  bigint;
begin
  -- Readers go on while it is counted.
  execute format('lock table %s in share mode', chunk);
  span := pg_snapshot_xmax(pg_current_snapshot())::text::bigint - since_xid::text::bigint;
  execute format('select count(*), count(*) filter (where age(xmin) <= $1) from %s', chunk) into rows, later using span;
  bytes := pg_total_relation_size(chunk);
  dropped := since_xid is null or later = 0;
  if dropped then
    perform _timescaledb_functions.drop_chunk(chunk);
  end if;
end
$$;
