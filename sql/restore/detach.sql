-- Subscriptions of this database keep their definition and lose their hold on the publisher.
do $$
declare
  subscription record;
begin
  for subscription in
    select s.subname, s.subenabled from pg_subscription s
    where s.subdbid = (select oid from pg_database where datname = current_database())
  loop
    execute format('alter subscription %I disable', subscription.subname);
    execute format('alter subscription %I set (slot_name = none)', subscription.subname);
  end loop;
  perform pg_drop_replication_slot(slot_name) from pg_replication_slots where active_pid is null;
end
$$;
