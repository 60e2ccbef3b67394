//! One reconciler at a time: an advisory lock on the primary, held while steps are executed.
//!
//! Advisory locks belong to one database, so everybody takes it in `postgres`, which every server has. It ends with its
//! session, so a killed holder is no obstacle.

use super::session::{PostgresError, Session, Target};
use crate::model::names::Ident;

/// "hype" and "tide" in ASCII.
const KEY: (i32, i32) = (0x6879_7065, 0x7469_6465);

/// The lock, held until dropped.
#[derive(Debug)]
pub struct ReconcileLock {
    session: Session,
}

impl ReconcileLock {
    /// Its session is gone, and the lock with it.
    pub fn is_lost(&self) -> bool {
        self.session.is_closed()
    }
}

/// Takes the lock on this server; `None` when somebody else holds it.
pub async fn try_lock(target: &Target) -> Result<Option<ReconcileLock>, PostgresError> {
    let maintenance = Ident::new("postgres").expect("valid");
    let session = Session::connect(&Target { database: maintenance, ..target.clone() }).await?;
    let doing = "take the reconcile lock";
    let asking = async {
        let row = session.client().query_one("select pg_try_advisory_lock($1, $2)", &[&KEY.0, &KEY.1]).await;
        row.map_err(|source| session.failed(doing, source))
    };
    let row = session.promptly(doing, asking).await?;
    Ok(row.get::<_, bool>(0).then_some(ReconcileLock { session }))
}
