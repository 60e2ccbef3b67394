//! What a change of the primary to a logical replica does on the two servers, in the order in which it is done.
//!
//! What makes it safe is on the replica, in one transaction: the subscription goes, the database takes writes, and the row says that it
//! is the primary. The slot from which the old primary goes on is made before that, while nobody writes anywhere.

use std::collections::BTreeSet;
use std::str::FromStr;

use postgres_protocol::escape::escape_literal;

use super::look::odd;
use super::server_setting;
use super::session::{PostgresError, Session};
use crate::model::lsn::Lsn;
use crate::model::names::{Ident, NodeName, TableName};

/// How long statements may wait for locks while clients wait for them.
const LOCK_PATIENCE: &str = "2s";

/// Schemas to which the login roles were given access: `hypertide.grant_access` leaves default privileges there.
const GRANTED: &str = "select n.nspname from pg_namespace n where exists (
    select from pg_default_acl d, aclexplode(d.defaclacl) a
    where d.defaclnamespace = n.oid and d.defaclobjtype = 'r' and a.grantee = 'app'::regrole)";

/// Publishes on the replica what the primary publishes, and gives applications the access they have there. Guards stay, so nothing can
/// be written yet.
pub async fn prepare(replica: &Session, primary: &Session, publication: &Ident) -> Result<(), PostgresError> {
    let failed = |source| primary.failed("read what is published", source);
    let name = publication.as_str();
    let schemas =
        "select quote_ident(n.nspname) from pg_publication p join pg_publication_namespace m on m.pnpubid = p.oid
                   join pg_namespace n on n.oid = m.pnnspid where p.pubname = $1";
    let tables = "select m.prrelid::regclass::text from pg_publication p join pg_publication_rel m on m.prpubid = p.oid
                  where p.pubname = $1";
    let schemas = primary.client().query(schemas, &[&name]).await.map_err(failed)?;
    let tables = primary.client().query(tables, &[&name]).await.map_err(failed)?;
    let schemas = schemas.iter().map(|row| format!("tables in schema {}", row.get::<_, &str>(0)));
    let tables = tables.iter().map(|row| format!("table {}", row.get::<_, &str>(0)));
    let members: Vec<String> = schemas.chain(tables).collect();
    let what = if members.is_empty() { String::new() } else { format!("for {}", members.join(", ")) };
    let quoted = publication.quoted();
    let sql = format!("drop publication if exists {quoted}; create publication {quoted} {what}");
    replica.run("publish what the primary publishes", &sql).await?;
    grant(replica, true).await
}

/// Takes back what [`prepare`] and [`keep_changes`] did; the publication stays, since nobody reads it.
pub async fn forget(replica: &Session, slot: &Ident) -> Result<(), PostgresError> {
    super::setup::drop_slot(replica, slot).await?;
    grant(replica, false).await
}

/// Lets applications write, or only read, wherever they were given access. Guards are another matter.
pub async fn grant(session: &Session, is_writable: bool) -> Result<(), PostgresError> {
    let sql = format!("select hypertide.grant_access(nspname, {is_writable}) from ({GRANTED}) g");
    session.run("grant access to schemas", &sql).await
}

/// The end of the last transaction of the publisher's that was applied here, as it is on disk; nothing: the beginning of all logs.
/// It may have got further than that without one (`catch_up` tells, while somebody sends).
pub async fn applied_at_least(replica: &Session, subscription: &Ident) -> Result<Lsn, PostgresError> {
    let question =
        "select coalesce(pg_replication_origin_progress('pg_' || oid, true), '0/0')::text from pg_subscription
                    where subname = $1 and subdbid = (select oid from pg_database where datname = current_database())";
    let row = replica.client().query_opt(question, &[&subscription.as_str()]).await;
    let row = row.map_err(|source| replica.failed("ask how far its subscription is", source))?;
    let text = row.as_ref().map_or("0/0", |row| row.get(0));
    Lsn::from_str(text).map_err(|error| odd(replica, &error))
}

/// Published tables of the primary that the replica does not have in full, or would not publish. To be asked when nobody writes.
pub async fn lacking(
    replica: &Session,
    primary: &Session,
    subscription: &Ident,
    publication: &Ident,
) -> Result<Vec<TableName>, PostgresError> {
    let published = "select schemaname::text, tablename::text from pg_publication_tables where pubname = $1";
    let subscribed = "select n.nspname::text, c.relname::text from pg_subscription s
                      join pg_subscription_rel r on r.srsubid = s.oid and r.srsubstate = 'r'
                      join pg_class c on c.oid = r.srrelid join pg_namespace n on n.oid = c.relnamespace
                      where s.subname = $1 and s.subdbid = (select oid from pg_database where datname = current_database())";
    let theirs = tables(primary, published, publication).await?;
    let here = tables(replica, subscribed, subscription).await?;
    let told = tables(replica, published, publication).await?;
    Ok(theirs.into_iter().filter(|table| !here.contains(table) || !told.contains(table)).collect())
}

async fn tables(session: &Session, question: &str, name: &Ident) -> Result<BTreeSet<TableName>, PostgresError> {
    let rows = session.client().query(question, &[&name.as_str()]).await;
    let rows = rows.map_err(|source| session.failed("compare what is published", source))?;
    let named = rows.iter().map(|row| TableName::new(row.get(0), row.get(1)));
    named.collect::<Result<_, _>>().map_err(|error| odd(session, &error))
}

/// Makes the slot from which the old primary goes on. Nobody may write here before, or its rows would come twice.
pub async fn keep_changes(replica: &Session, slot: &Ident) -> Result<(), PostgresError> {
    super::setup::drop_slot(replica, slot).await?;
    let question = "select pg_create_logical_replication_slot($1, 'pgoutput', false, false, true)";
    let made = replica.client().execute(question, &[&slot.as_str()]).await;
    made.map(|_| ()).map_err(|source| replica.failed("keep changes for the old primary", source))
}

/// Makes the replica the primary of a new epoch, whole or not at all. The row comes first, so that [`has_taken_over`] waits for it.
pub async fn take_over(
    replica: &Session,
    node: &NodeName,
    epoch: u64,
    subscription: &Ident,
    database: &Ident,
) -> Result<(), PostgresError> {
    server_setting::wait_for_nobody(replica).await?;
    let subscription = subscription.quoted();
    let sql = format!(
        "set local lock_timeout = '{LOCK_PATIENCE}';
         update hypertide.node set node = {}, seat = 'primary', epoch = {epoch}, follows = null, resumes = false;
         alter subscription {subscription} disable;
         alter subscription {subscription} set (slot_name = none);
         drop subscription {subscription};
         alter database {} reset default_transaction_read_only",
        escape_literal(node.as_str()),
        database.quoted(),
    );
    replica.run_whole("take over", &sql).await
}

/// The row says that the node is the primary. Of a change that is being committed by somebody else it tells what becomes of it.
pub async fn has_taken_over(session: &Session) -> Result<bool, PostgresError> {
    let row = session.client().query_one("select seat = 'primary' from hypertide.node for update", &[]).await;
    Ok(row.map_err(|source| session.failed("ask what the node is", source))?.get(0))
}

/// Makes an old primary a read-only logical replica that is not subscribed yet.
pub async fn demote(
    session: &Session,
    to: &NodeName,
    epoch: u64,
    resumes: bool,
    database: &Ident,
) -> Result<(), PostgresError> {
    let sql = format!(
        "update hypertide.node set seat = 'logical', epoch = {epoch}, follows = {}, resumes = {resumes};
         alter database {} set default_transaction_read_only = on;
         select hypertide.grant_access(nspname, false) from ({GRANTED}) g",
        escape_literal(to.as_str()),
        database.quoted(),
    );
    session.run_whole("make it a logical replica", &sql).await
}

/// Has a subscription receive from another server, that of this epoch, which keeps its slot and has the same positions.
pub async fn redirect(
    replica: &Session,
    subscription: &Ident,
    connection: &str,
    epoch: u64,
) -> Result<(), PostgresError> {
    let sql = format!(
        "alter subscription {} connection {}; update hypertide.node set epoch = {epoch}",
        subscription.quoted(),
        escape_literal(connection),
    );
    replica.run_whole("have the subscription follow the new primary", &sql).await
}

/// Writes down in a logical replica the epoch of the primary that it is about to follow.
pub async fn adopt_epoch(replica: &Session, epoch: u64) -> Result<(), PostgresError> {
    replica.run_whole("write down the epoch", &format!("update hypertide.node set epoch = {epoch}")).await
}

/// The epoch that a node's row tells.
pub async fn epoch(session: &Session) -> Result<u64, PostgresError> {
    let row = session.client().query_one("select epoch from hypertide.node", &[]).await;
    let epoch: i64 = row.map_err(|source| session.failed("ask for the epoch", source))?.get(0);
    Ok(u64::try_from(epoch).unwrap_or_default())
}

/// Subscribes from a slot that is there. What the node published itself when it was the primary it has; all else that is published by
/// now is new and left to PostgreSQL's own workers, which copy it.
pub async fn resubscribe(
    replica: &Session,
    slot: &Ident,
    connection: &str,
    publication: &Ident,
) -> Result<(), PostgresError> {
    let sql = format!(
        "create subscription {slot} connection {} publication {publication} \
           with (create_slot = false, copy_data = false, streaming = parallel, failover = true);
         select hypertide.leave_to_workers({slot_name}, array(
           select format('%I.%I', schemaname, tablename) from pg_publication_tables where pubname = {publication_name}));
         drop publication if exists {publication};
         update hypertide.node set resumes = false",
        escape_literal(connection),
        slot = slot.quoted(),
        slot_name = escape_literal(slot.as_str()),
        publication = publication.quoted(),
        publication_name = escape_literal(publication.as_str()),
    );
    replica.run_whole("subscribe from where its own rows end", &sql).await
}
