-- The guide asks to clean up old data regularly, and these tables have no chunks that could be dropped.

create function etl.delete_old_data(keep interval default interval '90 days', as_of timestamptz default now())
returns table (table_name text, deleted bigint)
language plpgsql set search_path = pg_catalog as $$
begin
  if keep is null or keep < interval '1 day' then
    raise exception 'at least one day of messages is kept, and % was asked for', coalesce(keep::text, 'nothing')
      using errcode = 'invalid_parameter_value';
  end if;
  table_name := 'websocket_messages';
  delete from etl.websocket_messages where "timestamp" < as_of - keep;
  get diagnostics deleted = row_count;
  return next;
  table_name := 'websocket_batches';
  delete from etl.websocket_batches where "timestamp" < as_of - keep;
  get diagnostics deleted = row_count;
  return next;
  table_name := 'api_connector_data';
  delete from etl.api_connector_data where "timestamp" < as_of - keep;
  get diagnostics deleted = row_count;
  return next;
end
$$;

comment on function etl.delete_old_data(interval, timestamptz) is
    'Deletes messages, batches and collected data older than keep, and says how many rows of each.';
