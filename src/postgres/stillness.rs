//! A moment in which a publisher makes no chunk, so that a subscriber can take in all there are.
//!
//! PostgreSQL subscribes to every published table or to none. Where chunks are published in the transaction that makes them, and
//! one comes more often than a pass takes, there would always be one that the subscriber does not have yet. Writers whose chunk is there
//! go on; those who need a new one wait.

use tokio_postgres::error::SqlState;

use super::session::{PostgresError, Session, Target};

/// How long others may have to queue behind us while some transaction that made a chunk is still open. The next pass tries again.
const LOCK_PATIENCE: &str = "200ms";

/// The server ends it by itself should we be gone without a word.
const LONGEST: &str = "10s";

/// The moment; over when dropped.
#[derive(Debug)]
pub struct Stillness {
    // Its end is the end of the lock.
    _session: Session,
}

/// Begins it on the server that takes the writes. `None` when chunks are being made by a transaction that does not end soon.
pub async fn begin(target: &Target) -> Result<Option<Stillness>, PostgresError> {
    let session = Session::connect(target).await?;
    // In all versions and editions, making a chunk writes a row here.
    let sql = format!(
        "begin; set local lock_timeout = '{LOCK_PATIENCE}'; set local idle_in_transaction_session_timeout = '{LONGEST}'; \
         lock table _timescaledb_catalog.chunk in share mode"
    );
    match session.run("have no chunk made for a moment", &sql).await {
        Ok(()) => Ok(Some(Stillness { _session: session })),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(None),
        Err(error) => Err(error),
    }
}
