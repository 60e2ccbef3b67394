-- The schemas of the guide, and one for chunks.

create schema market_data;
comment on schema market_data is 'Market data; published to logical replicas, like the six schemas beside it.';

-- Chunks get a schema of their own, so that a publication can cover every future chunk by naming it.
create schema market_data_chunks;
comment on schema market_data_chunks is 'Chunks of the hypertables in market_data; managed by TimescaleDB.';

create schema economic_data;
comment on schema economic_data is 'Economic indicators.';

create schema news;
comment on schema news is 'News and sentiment.';

create schema events;
comment on schema events is 'Financial events.';

create schema derived;
comment on schema derived is 'Derived and calculated data; the tables are the platform''s own.';

create schema strategies;
comment on schema strategies is 'Trading strategies; the tables are the platform''s own.';

create schema execution;
comment on schema execution is 'Execution records; the tables are the platform''s own.';
