-- Writes down what the z-score shows. After the row: one that a constraint refuses leaves no anomaly behind.

create function dashboard.record_anomaly() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
  earlier record;
begin
  if not new.is_anomaly then
    delete from dashboard.anomalies a
    where a.source_id = new.source_id and a."timestamp" = new."timestamp" and a.review = 'open';
    return null;
  end if;
  select e.* into earlier
  from dashboard.sources s cross join lateral dashboard.earlier_rows(s, new."timestamp") e
  where s.source_id = new.source_id;
  insert into dashboard.anomalies as a (source_id, "timestamp", kind, observed, mean, deviation, z_score)
  values (new.source_id, new."timestamp",
    case when abs(new.z_score) > 6 then 'black_swan' else 'anomaly' end::dashboard.anomaly_kind,
    coalesce(new.close, new.value), earlier.mean, earlier.deviation, new.z_score)
  on conflict (source_id, "timestamp") do update set
    kind = excluded.kind, observed = excluded.observed, mean = excluded.mean, deviation = excluded.deviation,
    z_score = excluded.z_score, detected_at = excluded.detected_at, review = 'open', reviewed_by = null, reviewed_at = null
  where a.observed <> excluded.observed;
  return null;
end
$$;

create trigger trg_record_anomaly_insert after insert on dashboard.timeseries_data
    for each row when (new.is_anomaly) execute function dashboard.record_anomaly();
create trigger trg_record_anomaly_update after update on dashboard.timeseries_data
    for each row when (old.is_anomaly or new.is_anomaly) execute function dashboard.record_anomaly();
