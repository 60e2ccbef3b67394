-- Forgets chunks that are gone.
delete from hypertide.chunk_activity k
where to_regclass(format('%I.%I', k.schema_name, k.table_name)) is null
