-- One row of JSON: every setting that is a number or a switch, except those that this very session has set for itself.
select json_build_object('pg_settings', (
  select json_agg(json_build_object('name', name, 'setting', setting, 'unit', coalesce(unit, ''), 'is_bool', vartype = 'bool'))
  from pg_settings where vartype in ('bool', 'integer', 'real') and source not in ('client', 'session')
))::text
