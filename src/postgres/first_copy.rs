//! The first copy of a logical replica: every published table as it was at the moment its slot begins at.
//!
//! PostgreSQL's own workers copy one table at a time, each with a slot of its own, and ask for the whole publication each time, so
//! thousands of chunks take minutes (ADR 0018). Here all tables come from one exported snapshot over a few sessions, and the
//! subscription that follows goes on where the snapshot ends. Rows pass through this process and are never all in its memory.
//!
//! A copy that is cut short leaves a row in `hypertide.first_copy`: the rows there are then known to be its own, and the next one
//! replaces them.

use futures_util::{SinkExt, TryStreamExt};
use postgres_protocol::escape::escape_literal;
use tokio_postgres::error::SqlState;

use super::session::{PostgresError, Session, Target};
use super::setup;
use crate::model::names::{Ident, NameError, TableName};

/// "copy" in ASCII, and 1; the observation of a database looks for it too (`sql/observe/database.sql`).
const KEY: (i32, i32) = (0x636f_7079, 1);

/// What every session of ours bounds in time takes as long as there are rows; `replica`: no trigger that is meant for
/// applications fires, as none does for PostgreSQL's own copies.
const AS_A_WORKER: &str =
    "set statement_timeout = 0; set session_replication_role = replica; set synchronous_commit = off";

/// A first copy that is under way on a replica; others can see it until this is dropped.
#[derive(Debug)]
pub struct FirstCopy {
    session: Session,
    slot: Ident,
    /// An earlier one was cut short, so tables may hold rows of it.
    pub is_again: bool,
}

/// A table to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTable {
    /// Its name.
    pub name: TableName,
    /// The columns that are published.
    columns: Vec<Ident>,
    /// The rows that are published, as an SQL condition; all of them without one.
    filter: Option<String>,
}

/// What came of copying one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// Its rows are here.
    Here,
    /// The publisher has dropped it.
    Gone,
    /// The replica does not have it yet.
    NotHere,
}

impl FirstCopy {
    /// Begins one and writes that down. `None` while another one runs, and when one has ended: what a look saw of the two may be from
    /// different moments.
    pub async fn begin(replica: &Target, slot: &Ident) -> Result<Option<Self>, PostgresError> {
        let session = Session::connect(replica).await?;
        let failed = |source| session.failed("begin the first copy", source);
        let row = session.client().query_one("select pg_try_advisory_lock($1, $2)", &[&KEY.0, &KEY.1]).await;
        if !row.map_err(failed)?.get::<_, bool>(0) || setup::is_subscribed(&session, slot).await? {
            return Ok(None);
        }
        let begin = "insert into hypertide.first_copy (slot) values ($1::text::name) on conflict (slot) do nothing";
        let is_again = session.client().execute(begin, &[&slot.as_str()]).await.map_err(failed)? == 0;
        Ok(Some(Self { session, slot: slot.clone(), is_again }))
    }

    /// Says how many tables are left.
    pub async fn tell(&self, left: usize) -> Result<(), PostgresError> {
        let left = i32::try_from(left).unwrap_or(i32::MAX);
        let tell = "update hypertide.first_copy set tables_left = $2 where slot = $1::text::name";
        let told = self.session.client().execute(tell, &[&self.slot.as_str(), &left]).await;
        told.map(|_| ()).map_err(|source| self.session.failed("say how far the first copy is", source))
    }

    /// It came to nothing and left nothing.
    pub async fn give_up(self) -> Result<(), PostgresError> {
        self.session.run("end the first copy", "delete from hypertide.first_copy").await
    }

    /// Those of these tables that the replica does not have.
    pub async fn not_here(&self, tables: &[PublishedTable]) -> Result<Vec<TableName>, PostgresError> {
        let names: Vec<String> = tables.iter().map(|table| table.name.quoted()).collect();
        let absent =
            "select place from unnest($1::text[]) with ordinality u (name, place) where to_regclass(name) is null";
        let rows = self.session.client().query(absent, &[&names]).await;
        let rows = rows.map_err(|source| self.session.failed("look for the tables to subscribe to", source))?;
        let place = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or_default();
        Ok(rows.iter().filter_map(|row| tables.get(place(row))).map(|table| table.name.clone()).collect())
    }

    /// Subscribes from the end of the snapshot on, and then the copy is no longer under way. False when a table that the publisher
    /// named was not here: it has come, or gone, in this very moment.
    ///
    /// What is not among `copied` was not published when the snapshot was taken. Rows may have come to it before it was, which no
    /// slot ever sends: PostgreSQL's own workers copy it, as they copy every table that comes later.
    pub async fn subscribe(
        &self,
        connection: &str,
        publication: &Ident,
        copied: &[TableName],
    ) -> Result<bool, PostgresError> {
        // `failover`: standbys keep this slot too, so that the subscriber survives a promotion.
        let sql = format!(
            "begin;
             create subscription {slot} connection {} publication {} \
               with (create_slot = false, copy_data = false, streaming = parallel, failover = true);
             select hypertide.leave_to_workers('{slot_name}', array[{copied}]::text[]);
             delete from hypertide.first_copy;
             commit",
            escape_literal(connection),
            publication.quoted(),
            slot = self.slot.quoted(),
            slot_name = self.slot,
            copied = copied.iter().map(|table| escape_literal(&table.quoted())).collect::<Vec<_>>().join(", "),
        );
        match self.session.run("create the subscription", &sql).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                self.session.run("create the subscription later", "rollback").await?;
                Ok(false)
            }
            created => created.map(|()| true),
        }
    }
}

/// A session that sees what an exported snapshot sees.
async fn looking_back(publisher: &Target, snapshot: &str) -> Result<Session, PostgresError> {
    let session = Session::connect(publisher).await?;
    look_back(&session, snapshot).await?;
    Ok(session)
}

/// In PostgreSQL an error ends what a transaction sees; then it is entered anew.
async fn look_back(session: &Session, snapshot: &str) -> Result<(), PostgresError> {
    let sql = format!(
        "rollback; set statement_timeout = 0; begin isolation level repeatable read read only; \
         set transaction snapshot {}",
        escape_literal(snapshot)
    );
    session.run("see the moment at which the slot begins", &sql).await
}

/// Everything that was published when the snapshot was taken, and still is, the largest first.
pub async fn published_then(
    publisher: &Target,
    snapshot: &str,
    publication: &Ident,
) -> Result<Vec<PublishedTable>, PostgresError> {
    // The view tells what is published now; catalogs that are read as tables are those of the snapshot.
    let was_published = "exists (
        select from pg_publication u where u.pubname = $1::text and (
          exists (select from pg_publication_namespace m where m.pnpubid = u.oid and m.pnnspid = n.oid)
          or exists (select from pg_publication_rel m where m.prpubid = u.oid and m.prrelid = c.oid)))";
    list(&looking_back(publisher, snapshot).await?, publication, was_published).await
}

/// Everything that is published.
pub async fn published(publisher: &Session, publication: &Ident) -> Result<Vec<PublishedTable>, PostgresError> {
    list(publisher, publication, "true").await
}

async fn list(publisher: &Session, publication: &Ident, condition: &str) -> Result<Vec<PublishedTable>, PostgresError> {
    let failed = |source| publisher.failed("list what is published", source);
    let sql = format!(
        "select p.schemaname::text, p.tablename::text, p.attnames::text[], p.rowfilter
         from pg_publication_tables p
         join pg_namespace n on n.nspname = p.schemaname
         join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
         where p.pubname = $1::text and {condition} order by c.relpages desc, c.oid"
    );
    let rows = publisher.client().query(&sql, &[&publication.as_str()]).await.map_err(failed)?;
    let table = |row: &tokio_postgres::Row| -> Result<PublishedTable, NameError> {
        let columns: Vec<String> = row.get(2);
        let columns = columns.iter().map(|column| Ident::new(column)).collect::<Result<_, _>>()?;
        Ok(PublishedTable { name: TableName::new(row.get(0), row.get(1))?, columns, filter: row.get(3) })
    };
    rows.iter().map(table).collect::<Result<_, _>>().map_err(|error| super::look::odd(publisher, &error))
}

/// Two sessions, between which tables are copied one after the other.
#[derive(Debug)]
pub struct CopyLane {
    theirs: Session,
    ours: Session,
    snapshot: String,
    is_again: bool,
}

impl CopyLane {
    /// Opens both; the publisher's sees what this exported snapshot sees.
    pub async fn open(
        publisher: &Target,
        replica: &Target,
        snapshot: &str,
        is_again: bool,
    ) -> Result<Self, PostgresError> {
        let (theirs, ours) = tokio::try_join!(looking_back(publisher, snapshot), Session::connect(replica))?;
        ours.run("prepare the first copy", AS_A_WORKER).await?;
        Ok(Self { theirs, ours, snapshot: snapshot.to_owned(), is_again })
    }

    /// Copies one table, whole or not at all.
    pub async fn copy(&self, table: &PublishedTable) -> Result<Copied, PostgresError> {
        let doing = format!("copy {}", table.name);
        let is_missing = |error: &tokio_postgres::Error| error.code() == Some(&SqlState::UNDEFINED_TABLE);
        let (name, fields) = (table.name.quoted(), columns(&table.columns));
        let condition = table.filter.as_deref().unwrap_or("true");
        // Of a partitioned table nothing is published but its partitions, and a hypertable's rows are in its chunks.
        let select = format!("copy (select {fields} from only {name} where {condition}) to stdout");
        let rows = match self.theirs.client().copy_out(&select).await {
            Err(error) if is_missing(&error) => {
                look_back(&self.theirs, &self.snapshot).await?;
                return Ok(Copied::Gone);
            }
            rows => rows.map_err(|source| self.theirs.failed(&doing, source))?,
        };
        let clear = if self.is_again { format!("begin; delete from only {name}") } else { "begin".into() };
        let sink = match self.ours.client().batch_execute(&clear).await {
            Ok(()) => self.ours.client().copy_in(&format!("copy {name} ({fields}) from stdin")).await,
            Err(error) => Err(error),
        };
        let sink = match sink {
            Err(error) if is_missing(&error) => {
                self.ours.run(&doing, "rollback").await?;
                return Ok(Copied::NotHere);
            }
            sink => sink.map_err(|source| self.ours.failed(&doing, source))?,
        };
        let (mut rows, mut sink) = (std::pin::pin!(rows), std::pin::pin!(sink));
        while let Some(bytes) = rows.try_next().await.map_err(|source| self.theirs.failed(&doing, source))? {
            sink.feed(bytes).await.map_err(|source| self.ours.failed(&doing, source))?;
        }
        sink.finish().await.map_err(|source| self.ours.failed(&doing, source))?;
        self.ours.run(&doing, "commit").await?;
        Ok(Copied::Here)
    }
}

fn columns(columns: &[Ident]) -> String {
    columns.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ")
}
