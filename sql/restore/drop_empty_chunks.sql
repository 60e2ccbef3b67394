-- Chunks that a backup without rows brings along: the hypertables shall be as new. A chunk with a row in it stops the restore.
do $$
declare
  hypertable record;
  has_rows bool;
begin
  for hypertable in
    select format('%I.%I', hypertable_schema, hypertable_name)::regclass as relation from timescaledb_information.hypertables
    union all
    select format('%I.%I', view_schema, view_name)::regclass from timescaledb_information.continuous_aggregates
  loop
    execute format('select exists (select from %s)', hypertable.relation) into has_rows;
    if has_rows and (select relkind from pg_class where oid = hypertable.relation) = 'r' then
      raise exception '% holds rows, and the backup is of a kind without any', hypertable.relation;
    end if;
    perform public.drop_chunks(hypertable.relation, created_before => now() + interval '1 day');
  end loop;
end
$$;
