-- Whether hypertables take rows: one row is put into each, and the transaction around it is rolled back. For the length of
-- this session only.

-- A value that a column of this type would take; null: none is known.
create or replace function pg_temp.any_value(type oid) returns text language sql as $$
  select case
    when t.typtype = 'd' then pg_temp.any_value(t.typbasetype)
    when t.typtype = 'e' then (select quote_literal(enumlabel) from pg_enum where enumtypid = t.oid order by enumsortorder limit 1)
    when t.typcategory = 'N' then '1'
    when t.typcategory = 'B' then 'true'
    when t.typcategory = 'S' then quote_literal('x')
    when t.typcategory = 'D' then 'now()'
    when t.typcategory = 'T' then quote_literal('0')
    when t.typcategory = 'A' then quote_literal('{}')
    when t.typcategory = 'R' then quote_literal('empty')
    when t.typcategory = 'I' then quote_literal('127.0.0.1')
    when t.typname = 'uuid' then 'gen_random_uuid()'
    when t.typname in ('json', 'jsonb') then quote_literal('{}')
    when t.typname = 'bytea' then quote_literal('\x00')
  end || '::' || t.oid::regtype
  from pg_type t where t.oid = any_value.type
$$;

-- Tries one statement that inserts a row and returns the table it landed in. Null: done; else why not.
create or replace function pg_temp.try_insert(hypertable regclass, statement text, role text) returns text
language plpgsql as $$
declare
  landed oid;
  state text;
begin
  perform set_config('session_replication_role', role, true);
  execute statement into landed;
  perform set_config('session_replication_role', 'origin', true);
  if landed is null then
    return 'refused: a trigger swallowed the row';
  elsif landed = hypertable then
    return 'broken: the row landed in the hypertable itself, not in a chunk';
  end if;
  return null;
exception when others then
  get stacked diagnostics state = returned_sqlstate;
  -- What data, constraints or a user's own code say no to; anything else is the server's own.
  return case when state ~ '^(22|23|P0|25006|42501)' then 'refused: ' else 'broken: ' end || sqlerrm;
end
$$;

-- Puts a row into a hypertable: the copy of one that is there, at a time of its own, or a made-up one when there is none.
-- Answers `works`, `works: …` with what had to be left out, `refused: …` when only the data would not do, `broken: …`.
create or replace function pg_temp.probe(hypertable regclass, time_column name, step text) returns text
language plpgsql as $$
declare
  wanted text; picked text; type text; unknown text; has_row bool; role text; moment text; said text; first text;
  moments text[];
begin
  select format_type(atttypid, atttypmod) into type from pg_attribute where attrelid = hypertable and attname = time_column;
  execute format('select exists (select from %s)', hypertable) into has_row;
  if has_row then
    select string_agg(quote_ident(attname), ', ' order by attnum),
           string_agg(case when attname = time_column then '%1$s' else replace('r.' || quote_ident(attname), '%', '%%') end,
                      ', ' order by attnum)
      into wanted, picked
      from pg_attribute where attrelid = hypertable and attnum > 0 and not attisdropped and attgenerated = '';
    moments := array[
      format('((select max(%1$I) from %2$s) + %3$s)::%4$s', time_column, hypertable, step, type),
      format('((select min(%1$I) from %2$s) - %3$s)::%4$s', time_column, hypertable, step, type),
      format('r.%I', time_column)];
  else
    select string_agg(quote_ident(attname), ', ' order by attnum),
           string_agg(case when attname = time_column then '%1$s' else replace(value, '%', '%%') end, ', ' order by attnum),
           string_agg(format('%I of type %s', attname, format_type(atttypid, atttypmod)), ', ') filter (where value is null)
      into wanted, picked, unknown
      from (select attname, attnum, atttypid, atttypmod,
                   case when attname = time_column then '' else pg_temp.any_value(atttypid) end as value
            from pg_attribute
            where attrelid = hypertable and attnum > 0 and not attisdropped and attgenerated = ''
              and (attname = time_column or (attnotnull and attidentity = '' and not atthasdef))) needed;
    if unknown is not null then
      return 'refused: it is empty, and no value is known for ' || unknown;
    end if;
    moments := array[pg_temp.any_value((select atttypid from pg_attribute where attrelid = hypertable and attname = time_column))];
  end if;
  -- Triggers and foreign keys as they are; without them only when they alone stand in the way.
  foreach role in array array['origin', 'replica'] loop
    foreach moment in array moments loop
      said := pg_temp.try_insert(hypertable, format('insert into %s (%s) overriding system value select %s from %s returning tableoid',
        hypertable, wanted, format(picked, moment),
        case when has_row then format('(select * from %s limit 1) r', hypertable) else '(select) r' end), role);
      if said is null then
        return case when role = 'origin' then 'works' else 'works: without triggers, since ' || first end;
      end if;
      first := coalesce(first, regexp_replace(said, '^(refused|broken): ', ''));
    end loop;
  end loop;
  return said;
end
$$;
