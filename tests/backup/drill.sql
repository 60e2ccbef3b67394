create role keeper login;
create role auditor;
create schema shop;
create table shop.customers (id bigint generated always as identity primary key, name text not null, vip boolean default false);
insert into shop.customers (name) select 'customer ' || i from generate_series(1, 10) i;
create table shop.orders (
  id bigint generated always as identity,
  at timestamptz not null,
  customer bigint not null references shop.customers,
  symbol text not null,
  quantity numeric(18, 4) not null check (quantity > 0),
  note text,
  primary key (id, at, symbol)
);
select create_hypertable('shop.orders', by_range('at', interval '1 day'));
select add_dimension('shop.orders', by_hash('symbol', 2));
create index orders_by_customer on shop.orders (customer, at desc);
create function shop.stamp() returns trigger language plpgsql as $$ begin new.note := coalesce(new.note, 'by trigger'); return new; end $$;
create trigger stamp before insert on shop.orders for each row execute function shop.stamp();
insert into shop.orders (at, customer, symbol, quantity)
select timestamptz '2026-01-01' + i * interval '30 min', 1 + i % 10, 's' || i % 7, 1 + i from generate_series(0, 959) i;
create table shop.readings (seconds bigint not null, device int, value double precision);
select create_hypertable('shop.readings', by_range('seconds', 1000));
insert into shop.readings select i * 100, i % 3, i / 3.0 from generate_series(0, 99) i;
create table shop.empty (at timestamptz not null, kind text not null);
select create_hypertable('shop.empty', by_range('at'));
create view shop.recent as select * from shop.orders where at > '2026-01-15';
grant usage on schema shop to keeper, auditor;
grant select on shop.orders to keeper;
alter table shop.customers owner to auditor;
insert into _timescaledb_config.bgw_job (id, application_name, schedule_interval, max_runtime, max_retries, retry_period, proc_schema, proc_name,
  owner, scheduled, fixed_schedule, hypertable_id, config)
values (1000, 'Retention Policy [1000]', '1 day', '5 min', -1, '5 min', '_timescaledb_functions', 'policy_retention',
    'postgres', true, false, 1, '{"drop_after": "7 days", "hypertable_id": 1}'),
  (1001, 'User-Defined Action [1001]', '1 hour', '5 min', -1, '5 min', 'shop', 'stamp', 'postgres', true, false, null, null);
