-- Constraints of tables and domains. A foreign key to a hypertable has one more entry for each of its chunks.
select 'constraint ' || k.conname || ' on ' || c.name,
       concat_ws(' ', pg_get_constraintdef(k.oid), case when not k.conislocal then 'inherited' end)
from own c
join pg_constraint k on k.conrelid = c.oid
where k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0 and k.confrelid <> all ($1)
