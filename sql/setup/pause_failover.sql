-- A pause that is in force keeps its beginning and gets a new end.
-- $1 float8  how long it lasts, in seconds; null: until somebody resumes failover
-- $2 text    who pauses it
insert into hypertide.failover_pause as p (until, by_whom)
values (now() + $1::float8 * interval '1 second', $2)
on conflict (only_row) do update set
  since = case when p.until is null or p.until > now() then p.since else excluded.since end,
  until = excluded.until,
  by_whom = excluded.by_whom
returning json_build_object('since', date_trunc('second', p.since), 'until', date_trunc('second', p.until))::text
