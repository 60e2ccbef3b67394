//! What a change of the primary does on the servers, in the order in which it is done. When and to whom is decided elsewhere.
//!
//! The mark is PostgreSQL's own: a data directory with a `standby.signal` starts as a standby, whoever starts it. Ours has the
//! name of the node that is to take the place in it, which PostgreSQL ignores; that of a standby is empty.

use std::str::FromStr;
use std::time::{Duration, Instant};

use postgres_protocol::escape::escape_literal;

use super::catch_up;
use super::look::odd;
use super::server_setting;
use super::session::{PostgresError, Session};
use crate::model::lsn::Lsn;
use crate::model::names::{Ident, NodeName};

/// The file in the data directory.
const MARK: &str = "standby.signal";

/// Between two looks while clients wait: a local round trip takes a tenth of it.
const GLANCE: Duration = Duration::from_millis(2);

const SET_READ_ONLY: &str = "set whether transactions begin read-only";
/// Between two looks that nobody waits for.
const SYNC_GLANCE: Duration = Duration::from_millis(100);

/// Sessions and workers that could change rows; hypertide's own change no user's. `sql` is what is asked of them.
fn writers(sql: &str) -> String {
    format!(
        "select {sql} from pg_stat_activity where datid is not null and pid <> pg_backend_pid()
           and application_name not like 'hypertide%' and backend_type not in ('walsender', 'autovacuum worker')"
    )
}

/// Marks a primary that is to give up its place: from here on it comes back as a standby when it is started again.
pub async fn mark(primary: &Session, to: &NodeName) -> Result<(), PostgresError> {
    let path = escape_literal(&mark_path(primary).await?);
    primary.run("mark the primary", &format!("copy (select {}) to {path}", escape_literal(to.as_str()))).await
}

/// Has a primary take writes again.
pub async fn allow_writes(primary: &Session) -> Result<(), PostgresError> {
    server_setting::apply(primary, SET_READ_ONLY, "alter system reset default_transaction_read_only").await
}

/// Takes the mark away.
pub async fn unmark(primary: &Session) -> Result<(), PostgresError> {
    let path = mark_path(primary).await?.replace('\'', "'\\''");
    let remove = escape_literal(&format!("cat >/dev/null && rm -f '{path}'"));
    let sql = format!("copy (select 1 where false) to program {remove}");
    primary.run("take the mark from the primary", &sql).await
}

async fn mark_path(session: &Session) -> Result<String, PostgresError> {
    let row = session.client().query_one("select current_setting('data_directory')", &[]).await;
    let row = row.map_err(|source| session.failed("ask for the data directory", source))?;
    Ok(format!("{}/{MARK}", row.get::<_, &str>(0)))
}

/// Has the server begin every transaction read-only, also after a restart. Sessions that are there may be in one that is not.
pub async fn begin_read_only(server: &Session) -> Result<(), PostgresError> {
    server_setting::apply(server, SET_READ_ONLY, "alter system set default_transaction_read_only = on").await
}

/// Has the server begin every transaction read-only, also after a restart, and ends whoever could have begun one before.
/// `false` when some of them were still there after `patience`.
pub async fn refuse_writes(primary: &Session, patience: Duration) -> Result<bool, PostgresError> {
    begin_read_only(primary).await?;
    let began = Instant::now();
    // Those that are there now: who comes later begins read-only.
    let doing = "end the sessions that could write";
    let pids = primary.client().query(&writers("pid, pg_terminate_backend(pid)"), &[]).await;
    let pids: Vec<i32> = pids.map_err(|source| primary.failed(doing, source))?.iter().map(|row| row.get(0)).collect();
    let left = "select exists (select from pg_stat_activity where pid = any ($1))";
    loop {
        let row = primary.client().query_one(left, &[&pids]).await;
        if !row.map_err(|source| primary.failed(doing, source))?.get::<_, bool>(0) {
            return Ok(true);
        }
        if began.elapsed() > patience {
            return Ok(false);
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// Up to where the log has arrived on a standby.
pub async fn received(standby: &Session) -> Result<Lsn, PostgresError> {
    let question = "select coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')::text";
    let row = standby.client().query_one(question, &[]).await;
    let row = row.map_err(|source| standby.failed("ask how much of the log has arrived", source))?;
    Lsn::from_str(row.get(0)).map_err(|error| odd(standby, &error))
}

/// Has a standby replay log from a directory, up to here. `false` when it has not after `patience`.
pub async fn replay_from(
    standby: &Session,
    directory: &str,
    position: Lsn,
    patience: Duration,
) -> Result<bool, PostgresError> {
    let doing = "replay the rest of the old primary's log";
    let restore = escape_literal(&format!("cp \"{directory}/%f\" \"%p\""));
    standby.run(doing, &format!("alter system set restore_command = {restore}")).await?;
    standby.run(doing, "alter system set wal_retrieve_retry_interval = '100ms'").await?;
    standby.run(doing, "select pg_reload_conf()").await?;
    // A receiver that still waits for the old primary keeps the server from looking elsewhere. No function ends those.
    let receiver = "select pid from pg_stat_activity where backend_type = 'walreceiver'";
    standby.run(doing, &format!("copy ({receiver}) to program 'while read -r pid; do kill $pid; done'")).await?;
    let has_all = catch_up::wait_until_replayed(standby, position, patience).await?;
    standby.run(doing, "alter system reset restore_command").await?;
    standby.run(doing, "alter system reset wal_retrieve_retry_interval").await?;
    standby.run(doing, "select pg_reload_conf()").await?;
    let remove = escape_literal(&format!("cat >/dev/null && rm -rf '{directory}'"));
    standby.run(doing, &format!("copy (select 1 where false) to program {remove}")).await?;
    Ok(has_all)
}

/// Waits until a standby has received the log up to here. `false` when it has not after `patience`.
pub async fn wait_until_received(standby: &Session, position: Lsn, patience: Duration) -> Result<bool, PostgresError> {
    let began = Instant::now();
    loop {
        if received(standby).await? >= position {
            return Ok(true);
        }
        if began.elapsed() > patience {
            return Ok(false);
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// Waits until a standby keeps this logical slot of its primary's and could serve from it. `false` when it does not after `patience`.
///
/// <https://www.postgresql.org/docs/17/logicaldecoding-explanation.html#LOGICALDECODING-REPLICATION-SLOTS-SYNCHRONIZATION>: how far it is does
/// not matter. A subscriber asks for what comes after its own position, and the log from the slot's on is there.
pub async fn wait_until_synced(standby: &Session, slot: &Ident, patience: Duration) -> Result<bool, PostgresError> {
    let question = "select exists (select from pg_replication_slots
                    where slot_name = $1 and synced and not temporary and invalidation_reason is null)";
    let began = Instant::now();
    loop {
        let row = standby.client().query_one(question, &[&slot.as_str()]).await;
        if row.map_err(|source| standby.failed("look for a slot that it is to keep", source))?.get(0) {
            return Ok(true);
        }
        if began.elapsed() > patience {
            return Ok(false);
        }
        tokio::time::sleep(SYNC_GLANCE).await;
    }
}

/// Promotes a standby and waits until it takes writes. `false` when it does not after `patience`; it may at any moment then.
pub async fn promote(standby: &Session, patience: Duration) -> Result<bool, PostgresError> {
    server_setting::wait_for_nobody(standby).await?;
    standby.run("promote the standby", "select pg_promote(false)").await?;
    let began = Instant::now();
    while is_in_recovery(standby).await? {
        if began.elapsed() > patience {
            return Ok(false);
        }
        tokio::time::sleep(GLANCE).await;
    }
    Ok(true)
}

/// The server replays log and takes no writes.
pub async fn is_in_recovery(session: &Session) -> Result<bool, PostgresError> {
    let row = session.client().query_one("select pg_is_in_recovery()", &[]).await;
    Ok(row.map_err(|source| session.failed("ask whether it is in recovery", source))?.get(0))
}

/// Has a standby receive the log of another server from now on.
pub async fn follow(standby: &Session, connection: &str, slot: &Ident) -> Result<(), PostgresError> {
    let doing = "follow another primary";
    let to = format!("alter system set primary_conninfo = {}", escape_literal(connection));
    standby.run(doing, &to).await?;
    standby.run(doing, &format!("alter system set primary_slot_name = {}", escape_literal(slot.as_str()))).await?;
    standby.run(doing, "select pg_reload_conf()").await
}

/// A standby receives the log of some server just now. One that was told to take over does not.
pub async fn is_receiving(standby: &Session) -> Result<bool, PostgresError> {
    let question = "select exists (select from pg_stat_wal_receiver where status = 'streaming')";
    let row = standby.client().query_one(question, &[]).await;
    Ok(row.map_err(|source| standby.failed("ask whether it receives the log", source))?.get(0))
}

/// Writes down that this node is the primary, in a new epoch. That it can be written proves that writes are taken.
pub async fn raise_epoch(primary: &Session, node: &NodeName, epoch: u64) -> Result<(), PostgresError> {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    primary
        .client()
        .execute(
            "update hypertide.node set node = $1, seat = 'primary', epoch = $2, follows = null, resumes = false where epoch < $2",
            &[&node.as_str(), &epoch],
        )
        .await
        .map_err(|source| primary.failed("write down the new epoch", source))?;
    Ok(())
}
