-- Bars, one per symbol and time, whatever the feed they came from.

create table trading.market_data (
    "timestamp" timestamptz not null,
    symbol text not null,
    open numeric not null,
    high numeric not null,
    low numeric not null,
    close numeric not null,
    volume bigint not null,
    source text not null default 'polygon',
    -- Time first: the index (symbol, timestamp) below serves one symbol, this one serves a stretch of time.
    constraint market_data_pkey primary key ("timestamp", symbol),
    constraint market_data_symbol_check check (symbol <> ''),
    constraint market_data_source_check check (source <> ''),
    constraint market_data_volume_check check (volume >= 0)
);

comment on table trading.market_data is 'Price bars; loading a bar again is an upsert on (symbol, timestamp).';
comment on column trading.market_data."timestamp" is 'When the bar begins.';
comment on column trading.market_data.volume is 'Shares traded within the bar.';
comment on column trading.market_data.source is 'The feed the bar was last loaded from.';

select public.create_hypertable(
    'trading.market_data', 'timestamp',
    chunk_time_interval => interval '7 days',
    associated_schema_name => 'trading_chunks',
    create_default_indexes => false
);

create index idx_market_data_symbol_time on trading.market_data (symbol, "timestamp" desc);
create index idx_market_data_source_time on trading.market_data (source, "timestamp" desc);
