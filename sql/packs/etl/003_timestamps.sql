-- Keeps updated_at true. Whoever sets it by hand keeps what was set.

create function etl.touch_updated_at() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if new.updated_at is not distinct from old.updated_at then
    new.updated_at := now();
  end if;
  return new;
end
$$;

create trigger trg_api_connectors_updated_at before update on etl.api_connectors
    for each row execute function etl.touch_updated_at();
create trigger trg_connector_status_updated_at before update on etl.connector_status
    for each row execute function etl.touch_updated_at();
