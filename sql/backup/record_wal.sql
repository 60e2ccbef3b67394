insert into hypertide.wal_archive as w (job, store, timeline, archived_lsn, archived_at, phase, because, gap, spool_bytes, seen_at)
values ($1, $2, $3, $4::text::pg_lsn, case when $4::text is not null then clock_timestamp() end, $5, $6, $7, $8, clock_timestamp())
on conflict (only_row) do update set
  job = excluded.job, store = excluded.store, timeline = excluded.timeline, archived_lsn = excluded.archived_lsn,
  archived_at = case when w.archived_lsn is distinct from excluded.archived_lsn then excluded.archived_at else w.archived_at end,
  phase = excluded.phase, because = excluded.because, gap = excluded.gap, spool_bytes = excluded.spool_bytes,
  seen_at = excluded.seen_at
