-- The schemas everything below lives in.

create schema trading;
comment on schema trading is 'What the trading system writes; published to logical replicas.';

-- Chunks get a schema of their own, so that a publication can cover every future chunk by naming it.
create schema trading_chunks;
comment on schema trading_chunks is 'Chunks of the hypertables in trading; managed by TimescaleDB.';

create schema analytics;
comment on schema analytics is 'Views that derive prices and statistics from trading.';

create schema monitoring;
comment on schema monitoring is 'Functions that judge the freshness and the validity of trading.';
