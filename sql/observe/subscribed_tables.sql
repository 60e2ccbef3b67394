-- One row of JSON: the tables of a subscription and how far each is. Asked only when their digest has changed.
-- $1 text    name of this node's subscription
select json_build_object(
  'tables', (
    select coalesce(json_agg(json_build_array(n.nspname, c.relname, m.srsubstate)), '[]')
    from pg_subscription s join pg_subscription_rel m on m.srsubid = s.oid
    join pg_class c on c.oid = m.srrelid join pg_namespace n on n.oid = c.relnamespace
    where s.subname = $1 and s.subdbid = (select oid from pg_database where datname = current_database())),
  'digest', hypertide.subscribed_digest($1)
)::text
