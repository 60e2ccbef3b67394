-- Exactly the guide's grants. The roles get no password here: a migration is no place for one. They belong to the whole server,
-- so another database, or an earlier life of this one, may have made them.

do $$
begin
  if to_regrole('tetra_reader') is null then
    create role tetra_reader login;
  end if;
  if to_regrole('tetra_app') is null then
    create role tetra_app login;
  end if;
  execute format('grant connect on database %I to tetra_reader, tetra_app', current_database());
end
$$;

grant usage on schema market_data, economic_data to tetra_reader;
grant select on all tables in schema market_data, economic_data to tetra_reader;

grant usage on schema market_data, economic_data, news, events, derived, strategies, execution to tetra_app;
grant select, insert, update
    on all tables in schema market_data, economic_data, news, events, derived, strategies, execution to tetra_app;

-- "All tables" includes those that are made later.
alter default privileges in schema market_data, economic_data grant select on tables to tetra_reader;
alter default privileges in schema market_data, economic_data, news, events, derived, strategies, execution
    grant select, insert, update on tables to tetra_app;
