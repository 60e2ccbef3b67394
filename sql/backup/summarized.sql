-- From where on the server's log is summarized without a hole. $1: the timeline.
select max(start_lsn) filter (where before is null or before < start_lsn)::text
from (select start_lsn, lag(end_lsn) over (order by start_lsn) as before
      from pg_available_wal_summaries() where tli = $1) s
