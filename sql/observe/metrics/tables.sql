-- One row of JSON: statistics of tables. Comes after parts/.
, indexes as materialized (
  select indrelid as oid, sum(pg_stat_get_numscans(indexrelid)) as scans, sum(pg_stat_get_tuples_fetched(indexrelid)) as fetched,
         sum(pg_stat_get_blocks_fetched(indexrelid) - pg_stat_get_blocks_hit(indexrelid)) as blocks_read,
         sum(pg_stat_get_blocks_hit(indexrelid)) as blocks_hit
  from pg_index group by indrelid
), member as (
  select p.oid, h.schemaname, h.relname from part p join hypertable h on h.oid = p.root
  union all select oid, schemaname, relname from hypertable
  union all select oid, schemaname, relname from plain
), seen as (
  select m.schemaname, m.relname, c.oid, c.reltoastrelid as toast, i.scans, i.fetched, i.blocks_read, i.blocks_hit,
         t.blocks_read as toast_index_read, t.blocks_hit as toast_index_hit
  from member m join pg_class c on c.oid = m.oid
  left join indexes i on i.oid = c.oid
  left join indexes t on t.oid = c.reltoastrelid
), summed as (
  select schemaname, relname,
    sum(pg_stat_get_numscans(oid)) as seq_scan,
    sum(pg_stat_get_tuples_returned(oid)) as seq_tup_read,
    sum(scans) as idx_scan,
    sum(fetched + pg_stat_get_tuples_fetched(oid)) as idx_tup_fetch,
    sum(pg_stat_get_tuples_inserted(oid)) as n_tup_ins,
    sum(pg_stat_get_tuples_updated(oid)) as n_tup_upd,
    sum(pg_stat_get_tuples_deleted(oid)) as n_tup_del,
    sum(pg_stat_get_tuples_hot_updated(oid)) as n_tup_hot_upd,
    sum(pg_stat_get_live_tuples(oid)) as n_live_tup,
    sum(pg_stat_get_dead_tuples(oid)) as n_dead_tup,
    sum(pg_stat_get_mod_since_analyze(oid)) as n_mod_since_analyze,
    extract(epoch from max(pg_stat_get_last_vacuum_time(oid))) as last_vacuum,
    extract(epoch from max(pg_stat_get_last_autovacuum_time(oid))) as last_autovacuum,
    extract(epoch from max(pg_stat_get_last_analyze_time(oid))) as last_analyze,
    extract(epoch from max(pg_stat_get_last_autoanalyze_time(oid))) as last_autoanalyze,
    sum(pg_stat_get_vacuum_count(oid)) as vacuum_count,
    sum(pg_stat_get_autovacuum_count(oid)) as autovacuum_count,
    sum(pg_stat_get_analyze_count(oid)) as analyze_count,
    sum(pg_stat_get_autoanalyze_count(oid)) as autoanalyze_count,
    sum(pg_stat_get_blocks_fetched(oid) - pg_stat_get_blocks_hit(oid)) as heap_blocks_read,
    sum(pg_stat_get_blocks_hit(oid)) as heap_blocks_hit,
    sum(blocks_read) as idx_blocks_read,
    sum(blocks_hit) as idx_blocks_hit,
    sum(case when toast <> 0 then pg_stat_get_blocks_fetched(toast) - pg_stat_get_blocks_hit(toast) end) as toast_blocks_read,
    sum(case when toast <> 0 then pg_stat_get_blocks_hit(toast) end) as toast_blocks_hit,
    sum(toast_index_read) as tidx_blocks_read,
    sum(toast_index_hit) as tidx_blocks_hit
  from seen group by schemaname, relname
)
select json_build_object(
  'pg_stat_user_tables', (
    select json_agg(json_build_object(
      'datname', current_database(), 'schemaname', schemaname, 'relname', relname,
      'seq_scan', seq_scan, 'seq_tup_read', seq_tup_read, 'idx_scan', idx_scan, 'idx_tup_fetch', idx_tup_fetch,
      'n_tup_ins', n_tup_ins, 'n_tup_upd', n_tup_upd, 'n_tup_del', n_tup_del, 'n_tup_hot_upd', n_tup_hot_upd,
      'n_live_tup', n_live_tup, 'n_dead_tup', n_dead_tup, 'n_mod_since_analyze', n_mod_since_analyze,
      'last_vacuum', last_vacuum, 'last_autovacuum', last_autovacuum,
      'last_analyze', last_analyze, 'last_autoanalyze', last_autoanalyze,
      'vacuum_count', vacuum_count, 'autovacuum_count', autovacuum_count,
      'analyze_count', analyze_count, 'autoanalyze_count', autoanalyze_count))
    from summed),
  'pg_statio_user_tables', (
    select json_agg(json_build_object(
      'datname', current_database(), 'schemaname', schemaname, 'relname', relname,
      'heap_blocks_read', heap_blocks_read, 'heap_blocks_hit', heap_blocks_hit,
      'idx_blocks_read', idx_blocks_read, 'idx_blocks_hit', idx_blocks_hit,
      'toast_blocks_read', toast_blocks_read, 'toast_blocks_hit', toast_blocks_hit,
      'tidx_blocks_read', tidx_blocks_read, 'tidx_blocks_hit', tidx_blocks_hit))
    from summed)
)::text
