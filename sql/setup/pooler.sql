-- What the endpoints' PgBouncer asks when a client logs in: the verifier of one role, which its password has to fit.
--
-- Whoever may call this can guess passwords without being seen, so only the pooler's own role may. It gets nothing about
-- superusers and roles that replicate, who connect to the nodes themselves, nor about a password that is no longer valid.
create or replace function hypertide.login_verifier(login name) returns table (role_name text, verifier text)
language sql stable security definer set search_path = pg_catalog as $$
  select a.rolname::text, a.rolpassword
  from pg_authid a
  where a.rolname = login and a.rolcanlogin and not a.rolsuper and not a.rolreplication
    and a.rolpassword like 'SCRAM-SHA-256$%' and (a.rolvaliduntil is null or a.rolvaliduntil > now())
$$;
revoke all on function hypertide.login_verifier(name) from public;
-- A throw-away server may be without our roles.
do $$ begin
  if to_regrole('hypertide_pooler') is not null then
    grant usage on schema hypertide to hypertide_pooler;
    grant execute on function hypertide.login_verifier(name) to hypertide_pooler;
  end if;
end $$;
