-- Data jobs: SQL of the configuration's and of the packs', and retention, as the agent runs them on the primary.

create table if not exists hypertide.job (
  job        text primary key,
  first_seen timestamptz not null default now()
);
comment on table hypertide.job is 'Data jobs that are wanted, since they are known: no time before that is made up for.';
comment on column hypertide.job.job is 'Its name.';
comment on column hypertide.job.first_seen is 'When an agent saw it first.';

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

grant select on hypertide.job, hypertide.job_run to reader, monitor;

-- Data jobs and what they did, as one JSON document of the shape of `hypertide.backup_jobs()`.
create or replace function hypertide.data_jobs() returns json
language sql stable set search_path = pg_catalog as $$
  select json_build_object(
    'now', extract(epoch from clock_timestamp())::bigint,
    'jobs', coalesce((
      select json_object_agg(j.job, json_build_object(
        'known_since', extract(epoch from j.first_seen)::bigint,
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
