-- Plain tables, as the guide writes them: their keys are serial numbers, which a hypertable could not be unique on.

create schema etl;
comment on schema etl is 'What the ETL tool collects, and the connectors it collects with; published to logical replicas.';

create table etl.websocket_messages (
    id serial primary key,
    "timestamp" timestamptz not null default now(),
    exchange varchar(50) not null,
    instrument varchar(100),
    price decimal(20, 8),
    data jsonb not null,
    message_type varchar(50) default 'trade',
    latency_ms decimal(10, 3),
    message_number integer,
    format varchar(50),
    extract_time decimal(10, 6),
    transform_time decimal(10, 6),
    load_time decimal(10, 6),
    total_time decimal(10, 6),
    constraint websocket_messages_exchange_check check (exchange <> '')
);

comment on table etl.websocket_messages is 'Single messages in real time.';
comment on column etl.websocket_messages.data is 'The whole message.';
comment on column etl.websocket_messages.message_number is 'As the exchange counts; not unique across sessions.';
comment on column etl.websocket_messages.total_time is 'Seconds; extract, transform and load times as well.';

create table etl.websocket_batches (
    id serial primary key,
    "timestamp" timestamptz not null default now(),
    exchange varchar(50) not null,
    total_messages integer not null,
    messages_per_second decimal(10, 2) not null,
    instruments text[],
    messages jsonb not null,
    metrics jsonb,
    constraint websocket_batches_exchange_check check (exchange <> ''),
    constraint websocket_batches_total_messages_check check (total_messages >= 0),
    constraint websocket_batches_messages_per_second_check check (messages_per_second >= 0)
);

comment on table etl.websocket_batches is 'Messages in batches, with what was measured over each.';

create table etl.api_connectors (
    id serial primary key,
    connector_id varchar(100) unique not null,
    name varchar(255) not null,
    api_url text not null,
    http_method varchar(10) default 'GET',
    headers_encrypted text,
    query_params_encrypted text,
    auth_type varchar(50) default 'None',
    credentials_encrypted text,
    status varchar(20) default 'inactive',
    polling_interval integer default 1000,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    protocol_type varchar(20),
    exchange_name varchar(50),
    constraint api_connectors_connector_id_check check (connector_id <> ''),
    constraint api_connectors_status_check check (status in ('inactive', 'running', 'stopped', 'error')),
    constraint api_connectors_polling_interval_check check (polling_interval > 0)
);

comment on table etl.api_connectors is 'How each API is asked. The encrypted columns are opaque here: only the application has the key.';
comment on column etl.api_connectors.headers_encrypted is 'Ciphertext of the application; nothing in the database reads it.';
comment on column etl.api_connectors.query_params_encrypted is 'Ciphertext of the application; nothing in the database reads it.';
comment on column etl.api_connectors.credentials_encrypted is 'Ciphertext of the application; nothing in the database reads it.';
comment on column etl.api_connectors.polling_interval is 'Milliseconds.';
comment on column etl.api_connectors.protocol_type is 'REST or WebSocket.';

create table etl.connector_status (
    id serial primary key,
    connector_id varchar(100) not null,
    status varchar(20) not null default 'stopped',
    last_message_timestamp timestamptz,
    message_count bigint default 0,
    error_log text,
    reconnect_attempts integer default 0,
    last_error timestamptz,
    performance_metrics jsonb,
    updated_at timestamptz not null default now(),
    constraint connector_status_connector_id_fkey
        foreign key (connector_id) references etl.api_connectors (connector_id) on delete cascade,
    constraint connector_status_status_check check (status in ('inactive', 'running', 'stopped', 'error')),
    constraint connector_status_message_count_check check (message_count >= 0),
    constraint connector_status_reconnect_attempts_check check (reconnect_attempts >= 0)
);

comment on table etl.connector_status is 'How each connector runs; goes with its connector.';

create table etl.api_connector_data (
    id serial primary key,
    connector_id varchar(100) not null,
    "timestamp" timestamptz not null default now(),
    exchange varchar(50),
    instrument varchar(100),
    price decimal(20, 8),
    data jsonb not null,
    message_type varchar(50) default 'api_response',
    raw_response jsonb,
    status_code integer,
    response_time_ms decimal(10, 3),
    source_id varchar(50),
    session_id varchar(100),
    constraint api_connector_data_connector_id_fkey
        foreign key (connector_id) references etl.api_connectors (connector_id) on delete cascade
);

comment on table etl.api_connector_data is 'What the connectors collected; goes with its connector.';
comment on column etl.api_connector_data.data is 'The response as processed; raw_response is the response as it came.';
