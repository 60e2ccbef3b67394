-- Bars, and the archive that outlives them.

create table market_data.ohlcv (
    id uuid default gen_random_uuid(),
    symbol varchar(20) not null,
    "timestamp" timestamptz not null,
    open numeric(20, 8) not null check (open > 0),
    high numeric(20, 8) not null check (high > 0),
    low numeric(20, 8) not null check (low > 0),
    close numeric(20, 8) not null check (close > 0),
    volume bigint not null check (volume >= 0),
    vwap numeric(20, 8),
    trades_count integer,
    timeframe varchar(10) not null,
    source varchar(50) not null,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    primary key (symbol, "timestamp"),
    -- The same again, as in the guide; PostgreSQL makes one constraint of the two, under this name.
    constraint uq_ohlcv_symbol_time unique (symbol, "timestamp"),
    constraint chk_high_low check (high >= low),
    constraint chk_high_prices check (high >= open and high >= close),
    constraint chk_low_prices check (low <= open and low <= close)
);

comment on table market_data.ohlcv is 'Price bars, one per symbol and time; the last two years.';
comment on column market_data.ohlcv."timestamp" is 'When the bar begins.';
comment on column market_data.ohlcv.timeframe is 'Length of the bar; no part of the key, so a symbol has bars of one length.';

select public.create_hypertable(
    'market_data.ohlcv', 'timestamp',
    chunk_time_interval => interval '7 days',
    associated_schema_name => 'market_data_chunks',
    create_default_indexes => false
);

create index idx_ohlcv_symbol_time on market_data.ohlcv (symbol, "timestamp" desc);
create index idx_ohlcv_timestamp on market_data.ohlcv ("timestamp" desc);

create table market_data.ohlcv_archive (
    like market_data.ohlcv including defaults including comments,
    archived_at timestamptz not null default now(),
    constraint ohlcv_archive_pkey primary key (symbol, "timestamp")
);

comment on table market_data.ohlcv_archive is 'Bars that left market_data.ohlcv by age.';

select public.create_hypertable(
    'market_data.ohlcv_archive', 'timestamp',
    chunk_time_interval => interval '90 days',
    associated_schema_name => 'market_data_chunks',
    create_default_indexes => false
);
