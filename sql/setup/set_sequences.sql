-- $1 text[]    schemas
-- $2 text[]    names of sequences, one for each schema
-- $3 bigint[]  their last values
-- $4 bool[]    whether these count as given out
select setval(format('%I.%I', s.schema_name, s.sequence_name)::regclass, s.last_value, s.is_called)
from unnest($1::text[], $2::text[], $3::bigint[], $4::bool[]) as s (schema_name, sequence_name, last_value, is_called)
