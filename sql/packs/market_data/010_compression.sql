-- needs: community, no-logical-replica
-- Compression rewrites chunks in ways that logical replication does not carry to a subscriber.

alter table market_data.ohlcv set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'symbol',
    timescaledb.compress_orderby = '"timestamp" desc'
);
select public.add_compression_policy('market_data.ohlcv', interval '30 days');

-- What is in the archive is old already.
alter table market_data.ohlcv_archive set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'symbol',
    timescaledb.compress_orderby = '"timestamp" desc'
);
select public.add_compression_policy('market_data.ohlcv_archive', interval '30 days');
