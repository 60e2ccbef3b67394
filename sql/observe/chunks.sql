-- One row of JSON: the lists that grow with the number of chunks. Asked only when their digest has changed.
-- $1 oid[]   hypertables
-- $2 text    name of the cluster's publication
-- $3 text    name of this node's subscription
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
  'subscribed', (
    select coalesce(json_agg(json_build_array(n.nspname, c.relname, m.srsubstate)), '[]')
    from pg_subscription s join pg_subscription_rel m on m.srsubid = s.oid
    join pg_class c on c.oid = m.srrelid join pg_namespace n on n.oid = c.relnamespace
    where s.subname = $3 and s.subdbid = (select oid from pg_database where datname = current_database())),
  'digest', hypertide.chunks_digest($1, $2, $3),
  'lsn', case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end
)::text
