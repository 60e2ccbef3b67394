-- Snapshots of what is held, one per symbol and time.

create table trading.positions (
    "timestamp" timestamptz not null default now(),
    symbol text not null,
    quantity numeric not null,
    avg_cost numeric not null,
    unrealized_pnl numeric,
    -- Time first: a snapshot is read whole; the index below serves the history of one symbol.
    constraint positions_pkey primary key ("timestamp", symbol),
    constraint positions_symbol_check check (symbol <> '')
);

comment on table trading.positions is 'Snapshots of the portfolio; taking one again is an upsert on (symbol, timestamp).';
comment on column trading.positions.quantity is 'Shares held; negative when short.';
comment on column trading.positions.unrealized_pnl is 'Against avg_cost at the snapshot''s price; null when there was no price.';

select public.create_hypertable(
    'trading.positions', 'timestamp',
    chunk_time_interval => interval '1 day',
    associated_schema_name => 'trading_chunks',
    create_default_indexes => false
);

create index idx_positions_symbol_time on trading.positions (symbol, "timestamp" desc);
