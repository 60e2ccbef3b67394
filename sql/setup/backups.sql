-- Backups: the catalogue as SQL users see it, what jobs did, and what is known of tables for the next backup. The stores have the
-- truth; this can be lost.

create table if not exists hypertide.backup_metadata (
  backup_id        text primary key default gen_random_uuid()::text,
  origin           text not null default 'sql' check (origin in ('hypertide', 'sql')),
  kind             text not null default 'file',
  job              text,
  scope            text,
  file_path        text not null,
  checksum_sha256  text,
  pipeline_run_id  text,
  data_start_date  timestamptz,
  data_end_date    timestamptz,
  record_count     bigint check (record_count >= 0),
  file_size_bytes  bigint check (file_size_bytes >= 0),
  raw_size_bytes   bigint check (raw_size_bytes >= 0),
  is_compressed    bool,
  is_encrypted     bool,
  parent_id        text,
  created_at       timestamptz not null default now(),
  finished_at      timestamptz,
  validation_status text not null default 'pending' check (validation_status in ('pending', 'validated', 'failed')),
  validated_at     timestamptz,
  completeness_pct numeric(5, 2) check (completeness_pct between 0 and 100),
  quality_score    numeric(5, 2) check (quality_score between 0 and 100),
  is_active        bool not null default true,
  deactivated_at   timestamptz,
  details          jsonb not null default '{}',
  check (data_start_date <= data_end_date)
);
create index if not exists backup_metadata_created_idx on hypertide.backup_metadata (created_at desc);

comment on table hypertide.backup_metadata is
  'Backups and backup files: hypertide''s own, mirrored from their manifests, and those that others record. The stores decide, not this table.';
comment on column hypertide.backup_metadata.backup_id is 'The backup''s name; a random one for what others record.';
comment on column hypertide.backup_metadata.origin is 'Who recorded it: hypertide keeps its own rows in step with the stores and touches no others.';
comment on column hypertide.backup_metadata.kind is 'full, schema, tables, globals or base; file for what others record.';
comment on column hypertide.backup_metadata.job is 'The job of the configuration that made it; null when it was made by hand.';
comment on column hypertide.backup_metadata.scope is 'Whose backups these are within their store.';
comment on column hypertide.backup_metadata.file_path is 'Where it is: the store''s address and the key of its manifest, or a path.';
comment on column hypertide.backup_metadata.checksum_sha256 is 'Of the manifest, which has the checksums of all objects; or of the file.';
comment on column hypertide.backup_metadata.pipeline_run_id is 'The run of a pipeline that wrote it; never set by hypertide.';
comment on column hypertide.backup_metadata.data_start_date is 'The earliest row in it, where somebody says so.';
comment on column hypertide.backup_metadata.data_end_date is 'The moment its rows are of, or the latest row in it.';
comment on column hypertide.backup_metadata.record_count is 'Rows in it.';
comment on column hypertide.backup_metadata.file_size_bytes is 'Bytes in the store.';
comment on column hypertide.backup_metadata.raw_size_bytes is 'Bytes before compression.';
comment on column hypertide.backup_metadata.is_compressed is 'Whether it is compressed.';
comment on column hypertide.backup_metadata.is_encrypted is 'Whether it is encrypted.';
comment on column hypertide.backup_metadata.parent_id is 'The backup that an incremental one builds upon.';
comment on column hypertide.backup_metadata.created_at is 'When it was begun.';
comment on column hypertide.backup_metadata.finished_at is 'When all of it was stored.';
comment on column hypertide.backup_metadata.validation_status is
  'pending: not proven yet; validated: restored and found equal; failed: the last drill found a difference or could not restore it.';
comment on column hypertide.backup_metadata.validated_at is 'When that was found out.';
comment on column hypertide.backup_metadata.completeness_pct is 'Share of tables and objects that the last drill found, in percent.';
comment on column hypertide.backup_metadata.quality_score is 'Share of those that were equal as well, in percent.';
comment on column hypertide.backup_metadata.is_active is 'It is there; false once it was pruned or is not to be used.';
comment on column hypertide.backup_metadata.deactivated_at is 'Since when it is not; such rows go after seven days.';
comment on column hypertide.backup_metadata.details is 'More from the manifest: server, versions, position in the log, programs.';

-- How fresh the backups of each job and kind are.
create or replace view hypertide.backup_freshness as
select kind, job, count(*) as backups,
       max(finished_at) as last_backup_at,
       extract(epoch from now() - max(finished_at))::bigint as age_seconds,
       max(validated_at) filter (where validation_status = 'validated') as last_validated_at,
       extract(epoch from now() - max(validated_at) filter (where validation_status = 'validated'))::bigint
         as validated_age_seconds
from hypertide.backup_metadata
where is_active
group by kind, job;
comment on view hypertide.backup_freshness is 'Age of the newest backup, and of the newest proof, of each job and kind.';

create table if not exists hypertide.backup_job (
  job        text primary key,
  first_seen timestamptz not null default now()
);
comment on table hypertide.backup_job is 'Backup jobs of the configuration, since they are known: no time before that is made up for.';
comment on column hypertide.backup_job.job is 'Its name.';
comment on column hypertide.backup_job.first_seen is 'When an agent saw it first.';

create table if not exists hypertide.backup_run (
  run_id        bigint generated always as identity primary key,
  job           text not null,
  scheduled_for timestamptz,
  attempt       int not null default 0,
  began         timestamptz not null default clock_timestamp(),
  finished      timestamptz,
  outcome       text not null default 'running' check (outcome in ('running', 'succeeded', 'failed', 'interrupted')),
  backup_id     text,
  stored_bytes  bigint,
  rows          bigint,
  error         text,
  drill         text check (drill in ('equal', 'differs', 'failed')),
  drilled_at    timestamptz,
  drill_millis  bigint,
  drill_rows    bigint,
  drill_differences bigint
);
-- Databases of earlier versions.
alter table hypertide.backup_run add column if not exists drill_millis bigint;
alter table hypertide.backup_run add column if not exists drill_rows bigint;
alter table hypertide.backup_run add column if not exists drill_differences bigint;
create index if not exists backup_run_job_began_idx on hypertide.backup_run (job, began desc);

comment on table hypertide.backup_run is 'Attempts of backup jobs; a hundred of each job are kept.';
comment on column hypertide.backup_run.run_id is 'Counts up.';
comment on column hypertide.backup_run.job is 'The job.';
comment on column hypertide.backup_run.scheduled_for is 'The time of its schedule that this attempt is for; null when somebody asked for it.';
comment on column hypertide.backup_run.attempt is '0 for the first attempt for that time.';
comment on column hypertide.backup_run.began is 'When it began.';
comment on column hypertide.backup_run.finished is 'When it ended, in whatever way.';
comment on column hypertide.backup_run.outcome is 'How it ended; interrupted: whoever ran it was ended in the middle.';
comment on column hypertide.backup_run.backup_id is 'The backup that it makes.';
comment on column hypertide.backup_run.stored_bytes is 'Bytes it stored.';
comment on column hypertide.backup_run.rows is 'Rows in it.';
comment on column hypertide.backup_run.error is 'Why it failed.';
comment on column hypertide.backup_run.drill is 'What a drill of it came to.';
comment on column hypertide.backup_run.drilled_at is 'When that drill ended.';
comment on column hypertide.backup_run.drill_millis is 'How long it took, in milliseconds.';
comment on column hypertide.backup_run.drill_rows is 'Rows that it compared.';
comment on column hypertide.backup_run.drill_differences is 'Differences that it found.';

create table if not exists hypertide.chunk_fingerprint (
  schema_name name not null,
  table_name  name not null,
  activity    text not null,
  rows        bigint not null,
  hash        text not null,
  taken_at    timestamptz not null default now(),
  primary key (schema_name, table_name)
);
comment on table hypertide.chunk_fingerprint is
  'Rows and hash of tables as the last backup read them, so that those without a change since need not be read again.';
comment on column hypertide.chunk_fingerprint.schema_name is 'The table''s schema.';
comment on column hypertide.chunk_fingerprint.table_name is 'The table, or chunk.';
comment on column hypertide.chunk_fingerprint.activity is 'hypertide.activity() before it was read: equal texts mean that nothing was changed.';
comment on column hypertide.chunk_fingerprint.rows is 'Its rows.';
comment on column hypertide.chunk_fingerprint.hash is 'Hash over them that does not depend on their order, after the method by which it was made.';
comment on column hypertide.chunk_fingerprint.taken_at is 'When it was kept last.';

grant usage on schema hypertide to reader, monitor;
grant select on hypertide.backup_metadata, hypertide.backup_freshness, hypertide.backup_run, hypertide.backup_job
  to reader, monitor;

-- How a run of a job is: one that nobody holds the lock of any more was cut off. Only a run that looks open asks who holds locks.
-- `lock` is the name of the job's kind of lock.
create or replace function hypertide.run_outcome(lock text, job text, outcome text) returns text
language sql stable set search_path = pg_catalog as $$
  select case when $3 <> 'running' then $3
    when exists (
      select from pg_locks l
      where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
        and l.classid = (hashtext($1)::bigint & 4294967295)::oid
        and l.objid = (hashtext($2)::bigint & 4294967295)::oid and l.objsubid = 2) then 'running'
    else 'interrupted' end
$$;
-- What earlier versions had.
drop function if exists hypertide.backup_outcome(text, text);

-- Backup jobs and what they did, as one JSON document: everything `BackupsSeen` holds.
create or replace function hypertide.backup_jobs() returns json
language sql stable set search_path = pg_catalog as $$
  select json_build_object(
    'now', extract(epoch from clock_timestamp())::bigint,
    'wal', (
      select json_build_object(
        'job', a.job, 'phase', a.phase, 'because', a.because, 'gap', a.gap,
        'archived_at', extract(epoch from a.archived_at)::bigint, 'seen_at', extract(epoch from a.seen_at)::bigint,
        'rpo_bytes', e.bytes, 'rpo_millis', (e.seconds * 1000)::bigint)
      from hypertide.wal_archive a left join hypertide.wal_exposure() e on true),
    'jobs', coalesce((
      select json_object_agg(j.job, json_build_object(
        'known_since', extract(epoch from j.first_seen)::bigint,
        'last', (select json_build_object(
                   'began', extract(epoch from r.began)::bigint, 'finished', extract(epoch from r.finished)::bigint,
                   'outcome', hypertide.run_outcome('hypertide.backup', j.job, r.outcome), 'error', r.error, 'backup', r.backup_id)
                 from hypertide.backup_run r where r.job = j.job order by r.began desc, r.run_id desc limit 1),
        'scheduled', (select json_build_object(
                   'occurrence', extract(epoch from r.scheduled_for)::bigint, 'attempt', r.attempt,
                   'began', extract(epoch from r.began)::bigint, 'finished', extract(epoch from r.finished)::bigint,
                   'outcome', hypertide.run_outcome('hypertide.backup', j.job, r.outcome))
                 from hypertide.backup_run r where r.job = j.job and r.scheduled_for is not null
                 order by r.began desc, r.run_id desc limit 1),
        'succeeded', (select json_build_object(
                   'began', extract(epoch from r.began)::bigint, 'finished', extract(epoch from r.finished)::bigint,
                   'backup', r.backup_id, 'stored_bytes', r.stored_bytes, 'rows', r.rows)
                 from hypertide.backup_run r where r.job = j.job and r.outcome = 'succeeded'
                 order by r.began desc, r.run_id desc limit 1),
        'verified', (select extract(epoch from max(r.drilled_at))::bigint
                 from hypertide.backup_run r where r.job = j.job and r.drill = 'equal'),
        'drill', (select json_build_object(
                   'finished', extract(epoch from r.drilled_at)::bigint, 'is_equal', r.drill = 'equal',
                   'millis', r.drill_millis, 'rows', r.drill_rows, 'differences', r.drill_differences)
                 from hypertide.backup_run r where r.job = j.job and r.drill is not null
                 order by r.drilled_at desc limit 1)))
      from hypertide.backup_job j), '{}'))
$$;
