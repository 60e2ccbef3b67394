-- Every index of the guide, by its name. idx_api_connectors_connector_id repeats the unique constraint's; it is in the guide.

create index idx_websocket_messages_timestamp on etl.websocket_messages ("timestamp" desc);
create index idx_websocket_messages_exchange on etl.websocket_messages (exchange);
create index idx_websocket_messages_instrument on etl.websocket_messages (instrument);
create index idx_websocket_messages_price on etl.websocket_messages (price);
create index idx_websocket_messages_message_number on etl.websocket_messages (message_number);
create index idx_websocket_messages_timestamp_exchange on etl.websocket_messages ("timestamp" desc, exchange);
create index idx_websocket_messages_instrument_timestamp on etl.websocket_messages (instrument, "timestamp" desc);
create index idx_websocket_messages_exchange_instrument_timestamp
    on etl.websocket_messages (exchange, instrument, "timestamp" desc);

create index idx_websocket_batches_timestamp on etl.websocket_batches ("timestamp" desc);
create index idx_websocket_batches_exchange on etl.websocket_batches (exchange);
create index idx_websocket_batches_timestamp_exchange on etl.websocket_batches ("timestamp" desc, exchange);

create index idx_api_connectors_connector_id on etl.api_connectors (connector_id);
create index idx_api_connectors_status on etl.api_connectors (status);
create index idx_api_connectors_created_at on etl.api_connectors (created_at desc);

create index idx_connector_status_connector_id on etl.connector_status (connector_id);
create index idx_connector_status_status on etl.connector_status (status);

create index idx_api_connector_data_connector_id on etl.api_connector_data (connector_id);
create index idx_api_connector_data_timestamp on etl.api_connector_data ("timestamp" desc);
create index idx_api_connector_data_exchange on etl.api_connector_data (exchange);
create index idx_api_connector_data_instrument on etl.api_connector_data (instrument);
create index idx_api_connector_data_connector_timestamp on etl.api_connector_data (connector_id, "timestamp" desc);
