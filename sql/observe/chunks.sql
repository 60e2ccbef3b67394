-- One row of JSON: chunks, and which of them are published one by one. Asked only when their digest has changed.
-- $1 oid[]   hypertables
-- $2 text    name of the cluster's publication
select json_build_object(
  'chunks', (
    select coalesce(json_agg(json_build_array(n.nspname, c.relname, rn.nspname, r.relname, k.status, k.slices)), '[]')
    from hypertide.chunks($1) k
    join pg_class c on c.oid = k.relation join pg_namespace n on n.oid = c.relnamespace
    join pg_class r on r.oid = k.root join pg_namespace rn on rn.oid = r.relnamespace),
  'members', (
    select coalesce(json_agg(json_build_array(n.nspname, c.relname)), '[]')
    from pg_publication p join pg_publication_rel m on m.prpubid = p.oid
    join pg_class c on c.oid = m.prrelid join pg_namespace n on n.oid = c.relnamespace
    where p.pubname = $2),
  'digest', hypertide.chunks_digest($1, $2)
)::text
