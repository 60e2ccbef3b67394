-- Takes tables off a replica's record that are published no more.
-- $1 text    name of the replica
-- $2 text[]  schemas of the published tables
-- $3 text[]  their names
delete from hypertide.comparison c
where c.replica = $1 and (c.schema_name, c.table_name) not in (
  select p.schema_name, p.table_name from unnest($2::text[], $3::text[]) p (schema_name, table_name))
