select d.hypertable_schema || '.' || d.hypertable_name,
       pg_temp.probe(format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass, d.column_name,
                     coalesce(quote_literal(d.time_interval) || '::interval', d.integer_interval::text))
from timescaledb_information.dimensions d
join timescaledb_information.hypertables h using (hypertable_schema, hypertable_name)
where d.dimension_number = 1
order by 1
