-- What the data quality gate found, one row per run.

create table trading.data_quality_reports (
    "timestamp" timestamptz not null default now(),
    report_date date not null,
    status text not null,
    checks integer not null,
    pass_rate numeric not null,
    details jsonb not null default '{}',
    -- A uuid and no identity: sequences are not replicated, and would start over on a promoted replica.
    report_id uuid not null default gen_random_uuid(),
    constraint data_quality_reports_pkey primary key ("timestamp", report_id),
    constraint data_quality_reports_status_check check (status <> ''),
    constraint data_quality_reports_checks_check check (checks >= 0),
    constraint data_quality_reports_pass_rate_check check (pass_rate between 0 and 100)
);

comment on table trading.data_quality_reports is 'Results of the data quality gate, one row per run.';
comment on column trading.data_quality_reports."timestamp" is 'When the gate ran.';
comment on column trading.data_quality_reports.report_date is 'The day whose data was judged.';
comment on column trading.data_quality_reports.checks is 'How many checks ran.';
comment on column trading.data_quality_reports.pass_rate is 'Checks that passed, in percent.';

select public.create_hypertable(
    'trading.data_quality_reports', 'timestamp',
    chunk_time_interval => interval '30 days',
    associated_schema_name => 'trading_chunks',
    create_default_indexes => false
);

create index idx_data_quality_reports_date on trading.data_quality_reports (report_date, "timestamp" desc);
