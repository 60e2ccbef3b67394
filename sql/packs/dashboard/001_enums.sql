-- The schemas, and the closed sets of words that the tables use.

create schema dashboard;
comment on schema dashboard is 'Sources, their series, and what is derived from them; published to logical replicas.';

-- Chunks get a schema of their own, so that a publication can cover every future chunk by naming it.
create schema dashboard_chunks;
comment on schema dashboard_chunks is 'Chunks of the hypertables in dashboard; managed by TimescaleDB.';

create type dashboard.source_status as enum ('active', 'inactive', 'error', 'deprecated');

-- What a source delivers. The first two say which columns its rows need; all others need `value`.
create type dashboard.data_type as enum
    ('ohlcv', 'price', 'value', 'volume', 'indicator', 'onchain', 'derivatives', 'sentiment', 'macro');

create type dashboard.rule_type as enum ('required', 'range', 'max_change');
create type dashboard.anomaly_kind as enum ('anomaly', 'black_swan');
create type dashboard.review_status as enum ('open', 'confirmed', 'dismissed');
create type dashboard.audit_operation as enum ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE');
create type dashboard.model_status as enum ('training', 'active', 'archived', 'failed');

-- PostgreSQL takes `Nowhere+3` for a POSIX zone; a calendar must not.
create function dashboard.is_time_zone(zone text) returns boolean
language sql stable set search_path = pg_catalog as $$
  select exists (select from pg_timezone_names n where n.name = zone and n.name !~ '^(posix|right)/')
$$;
comment on function dashboard.is_time_zone(text) is 'Whether a time zone of that very name is known.';
