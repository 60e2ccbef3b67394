-- The sequences of some schemas and how far they are. Waits for nobody who changes one: the next look is soon enough.
-- $1 text[]  schemas
with patience as materialized (
  -- Set before any sequence is read: the scalar query below is what reading depends on.
  select set_config('lock_timeout', '500ms', true) as is_set
), found as (
  select n.nspname::text as schema_name, c.relname::text as sequence_name, s.*,
         -- `pg_sequences` does not show where one that was restarted begins.
         case when (select is_set from patience) is not null
              then query_to_xml(format('select last_value, is_called from %I.%I', n.nspname, c.relname), false, true, '')::text
         end as state
  from pg_sequence s
  join pg_class c on c.oid = s.seqrelid
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1::text[])
)
select schema_name, sequence_name, seqincrement, seqmin, seqmax, seqcycle,
       substring(state from '<last_value>(-?\d+)</last_value>')::bigint,
       substring(state from '<is_called>(true|false)</is_called>')::boolean
from found
