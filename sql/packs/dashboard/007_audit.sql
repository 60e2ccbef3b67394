-- Every change of what was stored, and the way back for what was deleted.

create function dashboard.who() returns text
language sql stable set search_path = pg_catalog
return concat_ws('/', session_user, nullif(current_setting('dashboard.changed_by', true), ''));
comment on function dashboard.who() is
    'The login role, and after a slash the person the session names with `set dashboard.changed_by = ''...''`.';

-- With its owner's rights, so that the one who changes a row can neither leave out nor choose what is written down.
create function dashboard.write_audit() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  key_columns text[] := tg_argv[0]::text[];
  old_value   jsonb;
  new_value   jsonb;
  changed     text[];
begin
  if tg_op in ('UPDATE', 'DELETE') then
    old_value := to_jsonb(old);
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    new_value := to_jsonb(new);
  end if;
  select coalesce(array_agg(k order by k), '{}') into changed
  from jsonb_object_keys(coalesce(new_value, old_value)) k
  where (old_value -> k) is distinct from (new_value -> k);
  if tg_op = 'UPDATE' and changed <@ array['updated_at'] then
    return null;
  end if;
  insert into dashboard.audit_log (changed_by, reason, operation, table_name, row_key, old_value, new_value, changed_fields)
  select dashboard.who(), nullif(current_setting('dashboard.reason', true), ''), tg_op::dashboard.audit_operation, tg_argv[1],
    (select jsonb_object_agg(k, coalesce(new_value, old_value) -> k) from unnest(key_columns) k),
    old_value, new_value, changed;
  return null;
end
$$;

create function dashboard.write_audit_of_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into dashboard.audit_log (changed_by, reason, operation, table_name)
  values (dashboard.who(), nullif(current_setting('dashboard.reason', true), ''), 'TRUNCATE', tg_argv[0]);
  return null;
end
$$;

-- New rows of the series are not changes; their loads would double what is stored.
create trigger trg_audit after update or delete on dashboard.timeseries_data
    for each row execute function dashboard.write_audit('{source_id,timestamp}', 'timeseries_data');
create trigger trg_audit_truncate after truncate on dashboard.timeseries_data
    for each statement execute function dashboard.write_audit_of_truncate('timeseries_data');

do $$
declare
  audited record;
begin
  for audited in
    select * from (values
      ('sources', '{source_id}'), ('market_calendar', '{date,market}'), ('validation_rules', '{rule_id}'),
      ('anomalies', '{anomaly_id}'), ('ml_models', '{model_id}'), ('lineage', '{lineage_id}'),
      ('forecasts', '{model_id,source_id,target_time,made_at}'), ('backtest_results', '{backtest_id}')
    ) as t (name, key_columns)
  loop
    execute format(
      'create trigger trg_audit after insert or update or delete on dashboard.%I
         for each row execute function dashboard.write_audit(%L, %L)', audited.name, audited.key_columns, audited.name);
    execute format(
      'create trigger trg_audit_truncate after truncate on dashboard.%I
         for each statement execute function dashboard.write_audit_of_truncate(%L)', audited.name, audited.name);
  end loop;
end
$$;

create function dashboard.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  raise exception 'dashboard.audit_log is immutable: % is refused', lower(tg_op)
    using errcode = 'insufficient_privilege', hint = 'Rows are only added, by the triggers of the audited tables.';
end
$$;

create trigger trg_immutable before update or delete or truncate on dashboard.audit_log
    for each statement execute function dashboard.refuse_change();

-- Nobody writes history by hand either.
create function dashboard.refuse_forgery() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if pg_trigger_depth() < 2 then
    raise exception 'dashboard.audit_log is written by the triggers of the audited tables only'
      using errcode = 'insufficient_privilege';
  end if;
  return new;
end
$$;

create trigger trg_no_forgery before insert on dashboard.audit_log
    for each row execute function dashboard.refuse_forgery();

-- Deleted rows of the series stay where they can be brought back from.
create function dashboard.archive_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into dashboard.timeseries_archive (source_id, "timestamp", archived_by, reason, row_data)
  values (old.source_id, old."timestamp", dashboard.who(), nullif(current_setting('dashboard.reason', true), ''), to_jsonb(old));
  return null;
end
$$;

create trigger trg_archive_deleted after delete on dashboard.timeseries_data
    for each row execute function dashboard.archive_deleted();

create function dashboard.restore_archived(source_id integer, first timestamptz, past timestamptz) returns bigint
language plpgsql set search_path = pg_catalog as $$
declare
  restored bigint;
begin
  with latest as (
    select distinct on (a."timestamp") a."timestamp", a.archived_at, a.row_data
    from dashboard.timeseries_archive a
    where a.source_id = restore_archived.source_id and a."timestamp" >= first and a."timestamp" < past
      and a.restored_at is null
    order by a."timestamp", a.archived_at desc
  ),
  back as (
    insert into dashboard.timeseries_data (source_id, "timestamp", open, high, low, close, volume, value, ingested_at, metadata)
    select r.source_id, r."timestamp", r.open, r.high, r.low, r.close, r.volume, r.value, r.ingested_at, r.metadata
    from latest l cross join lateral jsonb_populate_record(null::dashboard.timeseries_data, l.row_data) r
    order by r."timestamp"
    on conflict do nothing
    returning "timestamp"
  )
  update dashboard.timeseries_archive a set restored_at = clock_timestamp()
  from back b join latest l using ("timestamp")
  where a.source_id = restore_archived.source_id and a."timestamp" = l."timestamp" and a.archived_at = l.archived_at;
  get diagnostics restored = row_count;
  return restored;
end
$$;
comment on function dashboard.restore_archived(integer, timestamptz, timestamptz) is
    'Brings back the rows deleted last from first (inclusive) to past (exclusive), unless there are new ones; says how many.';

create function dashboard.touch_updated_at() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if new.updated_at is not distinct from old.updated_at then
    new.updated_at := now();
  end if;
  return new;
end
$$;

create trigger trg_sources_updated_at before update on dashboard.sources
    for each row execute function dashboard.touch_updated_at();
create trigger trg_validation_rules_updated_at before update on dashboard.validation_rules
    for each row execute function dashboard.touch_updated_at();
create trigger trg_ml_models_updated_at before update on dashboard.ml_models
    for each row execute function dashboard.touch_updated_at();
