-- needs: community, no-logical-replica
-- Compression rewrites chunks in ways that logical replication does not carry to a subscriber.

alter table trading.market_data set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'symbol'
);
-- Said, not left out: TimescaleDB would choose a column by itself.
alter table trading.data_quality_reports set (
    timescaledb.compress,
    timescaledb.compress_segmentby = ''
);
alter table trading.orders set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'symbol'
);
alter table trading.positions set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'symbol'
);

select public.add_compression_policy('trading.market_data', interval '7 days');
select public.add_compression_policy('trading.data_quality_reports', interval '30 days');
select public.add_compression_policy('trading.orders', interval '7 days');
select public.add_compression_policy('trading.positions', interval '1 day');
