-- One row of JSON: what is there to be asked. Statistics of statements are told where the library is loaded and the extension is as
-- PostgreSQL 17 has it.
select json_build_object(
  'has_timescaledb', exists (select from pg_extension where extname = 'timescaledb'),
  'has_catalog', to_regclass('hypertide.retired_chunk') is not null,
  'has_statements', current_setting('pg_stat_statements.max', true) is not null and exists (
    select from pg_attribute where attrelid = to_regclass('pg_stat_statements') and attname = 'shared_blk_read_time')
)::text
