-- Puts a verification on record that has just finished.
-- $1 text    name of the replica
-- $2 float8  how long it took, in seconds
-- $3 text    the primary's position when it began
-- $4 int     tables compared; $5 unchanged, $6 left out
-- $7 bigint  rows read on the primary
-- $8 bool    nothing was skipped
insert into hypertide.verification
values ($1, clock_timestamp() - make_interval(secs => $2), clock_timestamp(), $3::text::pg_lsn, $4, $5, $6, $7, $8)
on conflict (replica) do update set
  started_at = excluded.started_at, finished_at = excluded.finished_at, lsn = excluded.lsn, compared = excluded.compared,
  unchanged = excluded.unchanged, left_out = excluded.left_out, rows = excluded.rows, is_full = excluded.is_full
