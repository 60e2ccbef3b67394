//! Waiting until a replica has everything that its primary had committed at a position: a subscriber has applied it, a standby has
//! replayed it. What a standby says of itself can be believed; the rest of this page is about subscribers.
//!
//! # What is believed, and why
//!
//! `pg_stat_subscription.latest_end_lsn` of the leading apply worker. The worker sets it when it handles a keepalive,
//! to the highest position received so far, and the publisher sends in its keepalives how far it has decoded its log.
//! The worker handles messages strictly in order, and commits one remote transaction before it reads the next message.
//! That holds with `streaming = parallel` as well: at the end of a streamed transaction the leader waits until the
//! parallel worker has committed it, to keep the order of commits. A transaction that committed before L on the
//! publisher was therefore sent before a keepalive that says L, and is committed and visible here when `latest_end_lsn`
//! is at least L. (PostgreSQL 15 to 17: `LogicalRepApplyLoop`, `apply_handle_stream_commit` and `pa_xact_finish` on
//! this side, `WalSndKeepalive` on the other.) Read them again for a version that applies small transactions in
//! parallel.
//!
//! Not believed:
//! - `received_lsn` moves before a message is handled.
//! - `pg_replication_origin_progress()` moves with applied transactions only, so it never reaches the position of an
//!   idle publisher, or of changes that are not published.
//! - `confirmed_flush_lsn` and `replay_lsn` on the publisher are sound too, but wait until the subscriber has flushed,
//!   up to some hundred milliseconds later, and writers may be waiting for us.
//!
//! A keepalive that says L is sent only when L is decoded, so L must be the end of a record that is flushed: [`mark`]
//! writes one. What is applied is visible and not necessarily flushed here. After a crash the subscriber applies it
//! again.

use std::str::FromStr;
use std::time::{Duration, Instant};

use super::base;
use super::look::odd;
use super::session::{PostgresError, Session};
use crate::model::lsn::Lsn;
use crate::model::names::Ident;

/// Between two looks at the subscriber: a local round trip takes less.
const GLANCE: Duration = Duration::from_millis(4);

/// The same on a standby: nobody holds writers off meanwhile.
const REPLAY_GLANCE: Duration = Duration::from_millis(20);

/// Writes a mark into the publisher's log, flushes it, and gives its position: everything committed before is below it.
///
/// Needs a session outside of a transaction: the mark is flushed by its own commit.
pub async fn mark(publisher: &Session) -> Result<Lsn, PostgresError> {
    let row = publisher
        .client()
        .query_one("select pg_logical_emit_message(true, 'hypertide', 'mark')::text", &[])
        .await
        .map_err(|source| publisher.failed("write a mark into the log", source))?;
    Lsn::from_str(row.get(0)).map_err(|error| odd(publisher, &error))
}

/// Somebody streams from this slot of the publisher: a subscription that follows another server has positions of its
/// own.
pub async fn is_followed(publisher: &Session, slot: &Ident) -> Result<bool, PostgresError> {
    let row = publisher
        .client()
        .query_one(
            "select exists (select from pg_replication_slots where slot_name = $1 and active)",
            &[&slot.as_str()],
        )
        .await
        .map_err(|source| publisher.failed("look at the replication slot", source))?;
    Ok(row.get(0))
}

/// Waits until this subscription has applied everything before a position of its publisher. `false` when it has not
/// after `patience`, or while no apply worker runs.
pub async fn wait_until_applied(
    subscriber: &Session,
    subscription: &Ident,
    position: Lsn,
    patience: Duration,
) -> Result<bool, PostgresError> {
    let began = Instant::now();
    loop {
        if applied(subscriber, subscription).await? >= Some(position) {
            return Ok(true);
        }
        if began.elapsed() >= patience {
            return Ok(false);
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// Waits until a standby has replayed everything before a position of its primary. `false` when it has not after `patience`.
pub async fn wait_until_replayed(standby: &Session, position: Lsn, patience: Duration) -> Result<bool, PostgresError> {
    let began = Instant::now();
    while base::replayed(standby).await? < position {
        if began.elapsed() >= patience {
            return Ok(false);
        }
        tokio::time::sleep(REPLAY_GLANCE).await;
    }
    Ok(true)
}

/// Up to where this subscription has applied its publisher's log; `None` while no apply worker has said so.
pub async fn applied(subscriber: &Session, subscription: &Ident) -> Result<Option<Lsn>, PostgresError> {
    let row = subscriber
        .client()
        .query_one(
            // Parallel workers have rows of their own, without a position.
            "select max(w.latest_end_lsn)::text from pg_stat_subscription w
             join pg_subscription s on s.oid = w.subid and s.subname = $1
             where s.subdbid = (select oid from pg_database where datname = current_database())
               and w.relid is null and w.pid is not null",
            &[&subscription.as_str()],
        )
        .await
        .map_err(|source| subscriber.failed("read how far the subscription is", source))?;
    let text: Option<&str> = row.get(0);
    text.map(Lsn::from_str).transpose().map_err(|error| odd(subscriber, &error))
}
