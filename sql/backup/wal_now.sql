-- The log on the primary. $1: where the archive ends, or null.
with now as (
  select pg_current_wal_insert_lsn() as insert_lsn,
         pg_current_wal_insert_lsn() - mod(pg_current_wal_insert_lsn() - '0/0'::pg_lsn, 16777216) as open_lsn
)
select
  (select system_identifier::text from pg_control_system()),
  ('x' || lpad(substr(pg_walfile_name(n.insert_lsn), 1, 8), 8, '0'))::bit(32)::int::bigint,
  n.insert_lsn::text,
  current_setting('wal_segment_size'),
  extract(epoch from clock_timestamp() - hypertide.beat_at(n.open_lsn))::float8,
  extract(epoch from clock_timestamp() - hypertide.beat_at($1::text::pg_lsn))::float8,
  s.slot_name is not null,
  coalesce(s.wal_status = 'lost', false) or coalesce(s.invalidation_reason is not null, false)
from now n left join pg_replication_slots s on s.slot_name = 'hypertide_wal'
