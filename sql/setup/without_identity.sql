-- Tables whose UPDATE and DELETE would fail once published: neither primary key nor replica identity.
-- $1 text[]  schemas that are, or are about to be, published
select format('%I.%I', n.nspname, c.relname)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and c.relpersistence = 'p'
  and not exists (select from _timescaledb_catalog.compression_settings s where s.compress_relid = c.oid)
  and not (c.relreplident = 'f'
    or (c.relreplident = 'd' and exists (select from pg_index x where x.indrelid = c.oid and x.indisprimary))
    or (c.relreplident = 'i' and exists (select from pg_index x where x.indrelid = c.oid and x.indisreplident)))
order by 1
