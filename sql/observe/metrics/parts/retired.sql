-- Places that hypertide keeps for chunks that the primary has dropped: no tables of anybody's.
, retired as (select schema_name, table_name from hypertide.retired_chunk)
