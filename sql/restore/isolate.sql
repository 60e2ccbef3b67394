-- A server that came from the data directory of another one: it must not follow that one, nor take its subscriptions' slots.
-- Settings of the command line are not touched; those of ALTER SYSTEM that point elsewhere go.
alter system reset primary_conninfo;
alter system reset primary_slot_name;
alter system reset archive_mode;
alter system reset archive_command;
alter system reset archive_library;
alter system reset archive_cleanup_command;
alter system reset restore_command;
alter system reset recovery_target;
alter system reset recovery_target_name;
alter system reset recovery_target_time;
alter system reset recovery_target_lsn;
alter system reset recovery_target_xid;
alter system reset recovery_target_timeline;
alter system reset recovery_target_action;
alter system reset recovery_target_inclusive;
alter system reset recovery_end_command;
alter system reset synchronous_standby_names;
alter system reset synchronized_standby_slots;
