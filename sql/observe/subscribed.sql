-- What a subscriber has of some tables: whether each is there, the state of its subscription, its activity up to now.
-- $1 text    name of the subscription
-- $2 text[]  schemas
-- $3 text[]  tables, one for each schema
select w.place, c.oid is not null, r.srsubstate::text, hypertide.activity(c.oid)
from unnest($2::text[], $3::text[]) with ordinality w (schema_name, table_name, place)
left join pg_namespace n on n.nspname = w.schema_name
left join pg_class c on c.relnamespace = n.oid and c.relname = w.table_name
left join pg_subscription_rel r on r.srrelid = c.oid and r.srsubid = (
  select s.oid from pg_subscription s
  where s.subname = $1 and s.subdbid = (select oid from pg_database where datname = current_database()))
order by w.place
