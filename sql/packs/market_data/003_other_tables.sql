-- Indicators, news and events, as the guide writes them.

create table economic_data.economic_data (
    id uuid default gen_random_uuid(),
    symbol varchar(50) not null,
    date timestamptz not null,
    value numeric(20, 8) not null,
    is_preliminary boolean default false,
    revision_date timestamptz,
    source varchar(50) not null default 'FRED',
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    primary key (symbol, date),
    constraint uq_econ_symbol_date unique (symbol, date)
);

comment on table economic_data.economic_data is 'Values of economic indicators; a revision replaces the value.';
comment on column economic_data.economic_data.symbol is 'The symbol at the source, such as GDPC1 of FRED.';

create index idx_econ_symbol_date on economic_data.economic_data (symbol, date desc);
create index idx_econ_date on economic_data.economic_data (date desc);

create table news.news_articles (
    id uuid default gen_random_uuid() primary key,
    title text not null,
    description text,
    content text,
    url text unique not null,
    source varchar(100),
    author varchar(200),
    published_at timestamptz not null,
    created_at timestamptz default now()
);

comment on table news.news_articles is 'Articles, each known by its address.';

create index idx_news_published on news.news_articles (published_at desc);
create index idx_news_source on news.news_articles (source);

create table events.event_data (
    id uuid default gen_random_uuid() primary key,
    event_type varchar(50) not null,
    event_datetime timestamptz not null,
    event_name varchar(200) not null,
    description text,
    impact_level integer check (impact_level between 1 and 4),
    symbol varchar(20),
    currency varchar(10),
    country varchar(10),
    actual numeric(20, 8),
    forecast numeric(20, 8),
    previous numeric(20, 8),
    source varchar(50) not null,
    created_at timestamptz default now()
);

comment on table events.event_data is 'Earnings, decisions, publications: what happens at a known time.';
comment on column events.event_data.impact_level is 'From 1 to 4.';

create index idx_events_datetime on events.event_data (event_datetime desc);
create index idx_events_symbol on events.event_data (symbol);
create index idx_events_type on events.event_data (event_type);

-- Keeps updated_at true. Whoever sets it by hand keeps what was set.
create function market_data.touch_updated_at() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
  if new.updated_at is not distinct from old.updated_at then
    new.updated_at := now();
  end if;
  return new;
end
$$;

create trigger trg_ohlcv_updated_at before update on market_data.ohlcv
    for each row execute function market_data.touch_updated_at();
create trigger trg_economic_data_updated_at before update on economic_data.economic_data
    for each row execute function market_data.touch_updated_at();
