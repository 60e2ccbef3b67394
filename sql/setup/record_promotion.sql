-- $1 text  JSON with the columns of hypertide.promotion, without its time
insert into hypertide.promotion (
  epoch, kind, from_node, to_node, by_whom, why, write_pause_seconds, phases, loss, lost_bytes, lost_transactions)
select epoch, kind, from_node, to_node, by_whom, why, write_pause_seconds, phases, loss, lost_bytes, lost_transactions
from json_populate_record(null::hypertide.promotion, $1::text::json)
