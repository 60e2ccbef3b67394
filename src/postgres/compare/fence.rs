//! Making one table stand still on the primary for a moment, and keeping what both sides hold in that moment.

use tokio_postgres::error::SqlState;

use crate::model::names::TableName;
use crate::postgres::session::{PostgresError, Session};

/// How long writers may queue up behind our wait for the lock.
const LOCK_PATIENCE: &str = "500ms";

/// How long the other locks may take: writers are held off meanwhile.
const LOOK_PATIENCE: &str = "1s";

/// A process of ours that freezes while it holds writers off loses its session after this.
const HOLD_AT_MOST: &str = "5s";

/// What came of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locking {
    /// It is ours until the transaction ends.
    Had,
    /// Somebody else kept it.
    Busy,
    /// The table is not there.
    Gone,
}

/// Begins a transaction that keeps writers off a table. Without the lock no transaction is left open.
pub async fn raise(keeper: &Session, table: &TableName) -> Result<Locking, PostgresError> {
    let begin = format!(
        "begin; set local lock_timeout = '{LOCK_PATIENCE}'; \
         set local idle_in_transaction_session_timeout = '{HOLD_AT_MOST}'; lock table {} in share mode",
        table.quoted()
    );
    locked(keeper, "keep writers off the table", &begin).await
}

/// Begins a transaction that sees the table as it is now, whatever happens later. The lock, taken before the snapshot,
/// holds off TRUNCATE, which would show in it.
pub async fn keep(session: &Session, table: &TableName) -> Result<Locking, PostgresError> {
    let begin = format!(
        "begin transaction isolation level repeatable read, read only; set local lock_timeout = '{LOOK_PATIENCE}'; \
         lock table {} in access share mode; select 1",
        table.quoted()
    );
    locked(session, "take a snapshot of the table", &begin).await
}

/// Begins a transaction in which only we change the table; readers go on. Neither triggers nor foreign keys fire in it.
pub async fn own(session: &Session, table: &TableName) -> Result<Locking, PostgresError> {
    let begin = format!(
        "begin; set local session_replication_role = replica; set local lock_timeout = '{LOOK_PATIENCE}'; \
         lock table {} in share row exclusive mode",
        table.quoted()
    );
    locked(session, "keep changes off the table", &begin).await
}

/// Ends a transaction and keeps what it did.
pub async fn commit(session: &Session) -> Result<(), PostgresError> {
    session.run("end the transaction", "commit").await
}

/// Ends a transaction, where there is one, without effect.
pub async fn rollback(session: &Session) -> Result<(), PostgresError> {
    session.run("end the transaction", "rollback").await
}

async fn locked(session: &Session, doing: &str, begin: &str) -> Result<Locking, PostgresError> {
    let Err(error) = session.run(doing, begin).await else { return Ok(Locking::Had) };
    let locking = match error.code() {
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
            Locking::Busy
        }
        Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME => Locking::Gone,
        _ => return Err(error),
    };
    rollback(session).await?;
    Ok(locking)
}
