-- Takes note of backups that are gone from a store, and forgets those that have been for a while.
-- $1 text    the store's address and the scope, with which their paths begin
-- $2 text[]  the backups that are there
with forgotten as (
  delete from hypertide.backup_metadata
  where origin = 'hypertide' and not is_active and deactivated_at < now() - interval '7 days'
)
update hypertide.backup_metadata set is_active = false, deactivated_at = now()
where origin = 'hypertide' and is_active and starts_with(file_path, $1) and backup_id <> all ($2)
