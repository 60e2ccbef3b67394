-- The pipeline's own files beside hypertide's backups, in one table: hypertide.backup_metadata. The functions act with their
-- owner's rights, since applications may not write hypertide's schema, and on the pipeline's rows only.

create view l0_pipeline.backup_metadata as
select
    b.backup_id,
    b.origin,
    b.kind,
    b.file_path,
    b.data_start_date,
    b.data_end_date,
    b.record_count,
    b.file_size_bytes,
    b.raw_size_bytes,
    b.is_compressed,
    round(b.raw_size_bytes::numeric / nullif(b.file_size_bytes, 0), 2) as compression_ratio,
    b.checksum_sha256,
    b.completeness_pct,
    b.quality_score,
    b.validation_status,
    b.validated_at,
    b.details -> 'validation_errors' as validation_errors,
    b.pipeline_run_id,
    b.is_active,
    (b.details ->> 'retention_days')::integer as retention_days,
    (b.details ->> 'expire_date')::timestamptz as expire_date,
    b.deactivated_at,
    b.created_at,
    now() - b.data_end_date as freshness
from hypertide.backup_metadata as b;
comment on view l0_pipeline.backup_metadata is
    'Backups of hypertide and files of the pipeline. Not replicated logically: ask the primary.';

create function l0_pipeline.require_writer(what text) returns void
language plpgsql stable set search_path = pg_catalog as $$
begin
  if not has_table_privilege(session_user, 'l0_pipeline.pipeline_runs', 'insert') then
    raise exception 'permission denied: % takes the right to write pipeline_runs', what
      using errcode = 'insufficient_privilege';
  end if;
end
$$;

create function l0_pipeline.create_backup_record(
    file_path text,
    data_start_date timestamptz,
    data_end_date timestamptz,
    record_count bigint,
    file_size_bytes bigint,
    pipeline_run_id text default null,
    backup_type text default 'incremental',
    checksum text default null,
    is_compressed boolean default null,
    retention_days integer default 30
)
returns text
language plpgsql security definer set search_path = pg_catalog as $$
declare
  new_id text;
begin
  perform l0_pipeline.require_writer('recording a backup');
  if retention_days is null or retention_days < 1 then
    raise exception 'a backup is kept for at least a day, and % days were given', coalesce(retention_days::text, 'no')
      using errcode = 'invalid_parameter_value';
  end if;
  if checksum !~* '^[0-9a-f]{64}$' then
    raise exception 'a checksum is 64 hexadecimal digits of SHA-256' using errcode = 'invalid_parameter_value';
  end if;
  insert into hypertide.backup_metadata
    (origin, file_path, data_start_date, data_end_date, record_count, file_size_bytes, checksum_sha256, is_compressed,
     pipeline_run_id, finished_at, details)
  values ('sql', $1, $2, $3, $4, $5, lower($8), coalesce($9, $1 ~ '\.(gz|zst|bz2|xz|zip)$'), $6, now(),
    jsonb_build_object('backup_type', $7, 'retention_days', $10, 'expire_date', now() + make_interval(days => $10)))
  returning backup_id into new_id;
  return new_id;
end
$$;
comment on function l0_pipeline.create_backup_record(
    text, timestamptz, timestamptz, bigint, bigint, text, text, text, boolean, integer) is
    'Lists a file of the pipeline; its id. It expires after retention_days.';

create function l0_pipeline.update_backup_validation(
    backup_id text,
    validation_status text,
    completeness_pct numeric default null,
    quality_score numeric default null,
    validation_errors jsonb default null
)
returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
  perform l0_pipeline.require_writer('validating a backup');
  update hypertide.backup_metadata b set
    validation_status = $2,
    completeness_pct = coalesce($3, b.completeness_pct),
    quality_score = coalesce($4, b.quality_score),
    validated_at = case when $2 = 'pending' then null else now() end,
    details = case when $5 is null then b.details - 'validation_errors'
      else b.details || jsonb_build_object('validation_errors', $5) end
  where b.backup_id = $1 and b.origin = 'sql';
  return found;
end
$$;
comment on function l0_pipeline.update_backup_validation(text, text, numeric, numeric, jsonb) is
    'Says whether a file of the pipeline is sound; false when there is none of that id. hypertide verifies its backups itself.';

create function l0_pipeline.cleanup_expired_backups(as_of timestamptz default now()) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
  expired bigint;
begin
  perform l0_pipeline.require_writer('expiring backups');
  update hypertide.backup_metadata b set is_active = false, deactivated_at = as_of
  where b.origin = 'sql' and b.is_active and (b.details ->> 'expire_date')::timestamptz <= as_of;
  get diagnostics expired = row_count;
  return expired;
end
$$;
comment on function l0_pipeline.cleanup_expired_backups(timestamptz) is
    'Deactivates files of the pipeline whose time is over; says how many. Their rows stay for another seven days.';

create function l0_pipeline.forget_inactive_backups(as_of timestamptz default now()) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
  forgotten bigint;
begin
  perform l0_pipeline.require_writer('forgetting backups');
  delete from hypertide.backup_metadata b
  where b.origin = 'sql' and not b.is_active and b.deactivated_at < as_of - interval '7 days';
  get diagnostics forgotten = row_count;
  return forgotten;
end
$$;
comment on function l0_pipeline.forget_inactive_backups(timestamptz) is
    'Deletes rows of the pipeline''s files that were deactivated more than seven days ago; says how many.';
