-- The schemas, and when USDCOP is traded: 8:00 to 13:00 in Bogotá, Monday to Friday, not on Colombian holidays.

create schema l0_pipeline;
comment on schema l0_pipeline is 'What the L0 pipeline writes, and what judges it; published to logical replicas.';

-- Chunks get a schema of their own, so that a publication can cover every future chunk by naming it.
create schema l0_pipeline_chunks;
comment on schema l0_pipeline_chunks is 'Chunks of the hypertables in l0_pipeline; managed by TimescaleDB.';

-- The anonymous Gregorian algorithm: https://en.wikipedia.org/wiki/Date_of_Easter
create function l0_pipeline.easter(year integer) returns date
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
declare
  a integer := year % 19;
  b integer := year / 100;
  c integer := year % 100;
  h integer := (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
  l integer := (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
  m integer := (a + 11 * h + 22 * l) / 451;
begin
  return make_date(year, (h + l - 7 * m + 114) / 31, (h + l - 7 * m + 114) % 31 + 1);
end
$$;
comment on function l0_pipeline.easter(integer) is 'Easter Sunday of a year.';

-- Law 51 of 1983 moves most holidays to the Monday that follows.
create function l0_pipeline.colombian_holiday(day date) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
begin
  return (select h.name
  from (select extract(year from day)::integer as year, l0_pipeline.easter(extract(year from day)::integer) as easter) y
  cross join lateral (values
    (make_date(y.year, 1, 1), false, 'Año Nuevo'), (make_date(y.year, 5, 1), false, 'Día del Trabajo'),
    (make_date(y.year, 7, 20), false, 'Independencia'), (make_date(y.year, 8, 7), false, 'Batalla de Boyacá'),
    (make_date(y.year, 12, 8), false, 'Inmaculada Concepción'), (make_date(y.year, 12, 25), false, 'Navidad'),
    (make_date(y.year, 1, 6), true, 'Reyes Magos'), (make_date(y.year, 3, 19), true, 'San José'),
    (make_date(y.year, 6, 29), true, 'San Pedro y San Pablo'), (make_date(y.year, 8, 15), true, 'Asunción'),
    (make_date(y.year, 10, 12), true, 'Día de la Raza'), (make_date(y.year, 11, 1), true, 'Todos los Santos'),
    (make_date(y.year, 11, 11), true, 'Independencia de Cartagena'),
    (y.easter - 3, false, 'Jueves Santo'), (y.easter - 2, false, 'Viernes Santo'),
    (y.easter + 43, false, 'Ascensión'), (y.easter + 64, false, 'Corpus Christi'), (y.easter + 71, false, 'Sagrado Corazón')
  ) h (named_day, is_moved, name)
  where day = case when h.is_moved then h.named_day + (8 - extract(isodow from h.named_day)::integer) % 7 else h.named_day end
  order by h.name
  limit 1);
end
$$;
comment on function l0_pipeline.colombian_holiday(date) is 'The name of the holiday, null on other days.';

-- PL/pgSQL, which keeps its plans, here and below: they are asked for every bar.
create function l0_pipeline.is_trading_day(day date) returns boolean
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
begin
  return extract(isodow from day) < 6 and l0_pipeline.colombian_holiday(day) is null;
end
$$;

-- Colombia has no daylight saving time.
create function l0_pipeline.is_trading_hours(at timestamptz) returns boolean
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
declare
  there timestamp := at at time zone 'America/Bogota';
begin
  if there::time < '08:00' or there::time >= '13:00' then
    return false;
  end if;
  return l0_pipeline.is_trading_day(there::date);
end
$$;
comment on function l0_pipeline.is_trading_hours(timestamptz) is '8:00 (inclusive) to 13:00 (exclusive) in Bogotá on a trading day.';

create function l0_pipeline.bar_length(timeframe text) returns interval
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
begin
  case timeframe
    when '1min' then return interval '1 minute';
    when '5min' then return interval '5 minutes';
    when '15min' then return interval '15 minutes';
    when '30min' then return interval '30 minutes';
    when '1h' then return interval '1 hour';
    else
      raise exception 'there is no timeframe %', coalesce(timeframe, 'null')
        using errcode = 'invalid_parameter_value', hint = 'Use 1min, 5min, 15min, 30min or 1h.';
  end case;
end
$$;

-- Every bar that trading hours make one expect. An unknown timeframe is refused on any day.
create function l0_pipeline.expected_bars(first timestamptz, past timestamptz, timeframe text default '5min')
returns table (trading_date date, begins timestamptz, ends timestamptz)
language plpgsql stable parallel safe set search_path = pg_catalog as $$
declare
  length interval := l0_pipeline.bar_length(timeframe);
begin
  return query
  select d.day::date, b.at at time zone 'America/Bogota', (b.at + length) at time zone 'America/Bogota'
  from generate_series(
    (first at time zone 'America/Bogota')::date::timestamp, past at time zone 'America/Bogota', interval '1 day') d (day)
  cross join lateral generate_series(d.day + interval '8 hours', d.day + interval '13 hours' - length, length) b (at)
  where l0_pipeline.is_trading_day(d.day::date)
    and b.at at time zone 'America/Bogota' >= first and b.at at time zone 'America/Bogota' < past
  order by 2;
end
$$;
comment on function l0_pipeline.expected_bars(timestamptz, timestamptz, text) is
    'The bars that begin from first (inclusive) to past (exclusive) within trading hours.';
