-- What is on record about one replica's tables.
-- $1 text  name of the replica
select schema_name, table_name, is_equal, greatest(0, extract(epoch from now() - compared_at))::bigint,
       activity_primary, activity_replica
from hypertide.comparison where replica = $1
