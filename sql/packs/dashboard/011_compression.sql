-- needs: community, no-logical-replica
-- Compression rewrites chunks in ways that logical replication does not carry to a subscriber.

alter table dashboard.timeseries_data set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'source_id',
    timescaledb.compress_orderby = '"timestamp" desc'
);
select public.add_compression_policy('dashboard.timeseries_data', interval '90 days');

alter table dashboard.features set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'source_id, feature_name',
    timescaledb.compress_orderby = '"timestamp" desc, feature_version'
);
select public.add_compression_policy('dashboard.features', interval '90 days');
