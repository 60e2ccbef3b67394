-- Orders, as the order management system sends and updates them.

create table trading.orders (
    "timestamp" timestamptz not null default now(),
    symbol text not null,
    side text not null,
    quantity numeric not null,
    price numeric,
    status text not null default 'new',
    filled_quantity numeric not null default 0,
    -- A uuid and no identity: sequences are not replicated, and would start over on a promoted replica.
    order_id uuid not null default gen_random_uuid(),
    constraint orders_pkey primary key (order_id, "timestamp"),
    constraint orders_symbol_check check (symbol <> ''),
    constraint orders_side_check check (lower(side) in ('buy', 'sell', 'sell_short', 'buy_to_cover')),
    constraint orders_quantity_check check (quantity > 0),
    constraint orders_status_check check (status <> ''),
    -- No upper bound: brokers do overfill, and the books must be able to say so.
    constraint orders_filled_quantity_check check (filled_quantity >= 0)
);

comment on table trading.orders is 'Orders; updated in place as they fill.';
comment on column trading.orders."timestamp" is 'When the order was made; stays the same when the order is updated.';
comment on column trading.orders.price is 'The limit; null for a market order.';
comment on column trading.orders.status is 'In the words of the order management system.';

select public.create_hypertable(
    'trading.orders', 'timestamp',
    chunk_time_interval => interval '7 days',
    associated_schema_name => 'trading_chunks',
    create_default_indexes => false
);

create index idx_orders_symbol_time on trading.orders (symbol, "timestamp" desc);
create index idx_orders_status_time on trading.orders (status, "timestamp" desc);
