-- Mirrors a manifest.
-- $1 text  JSON with the columns of hypertide.backup_metadata
insert into hypertide.backup_metadata as m (
  backup_id, origin, kind, job, scope, file_path, checksum_sha256, data_end_date, record_count, file_size_bytes, raw_size_bytes,
  is_compressed, is_encrypted, parent_id, created_at, finished_at, validation_status, validated_at, completeness_pct,
  quality_score, details)
select backup_id, 'hypertide', kind, job, scope, file_path, checksum_sha256, data_end_date, record_count, file_size_bytes,
  raw_size_bytes, is_compressed, is_encrypted, parent_id, created_at, finished_at, coalesce(validation_status, 'pending'),
  validated_at, completeness_pct, quality_score, coalesce(details, '{}')
from json_populate_record(null::hypertide.backup_metadata, $1::text::json)
on conflict (backup_id) do update set
  file_path = excluded.file_path, is_active = true, deactivated_at = null,
  validation_status = case when excluded.validated_at is null then m.validation_status else excluded.validation_status end,
  validated_at = coalesce(excluded.validated_at, m.validated_at),
  completeness_pct = coalesce(excluded.completeness_pct, m.completeness_pct),
  quality_score = coalesce(excluded.quality_score, m.quality_score)
where m.origin = 'hypertide'
