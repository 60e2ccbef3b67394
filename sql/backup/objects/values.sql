-- How far sequences are. They belong to no snapshot: a value is worth comparing only where it did not move meanwhile.
select 'sequence value ' || c.name, coalesce(pg_sequence_last_value(c.oid)::text, 'not used')
from own c
where c.relkind = 'S'
