//! Loads a CSV file into a table, in one transaction: good rows go in, bad ones into a file with the reason, and none is lost.
//!
//! A file's rows go straight into the table by COPY. When the server refuses one, or a row is there already, everything is taken
//! back, and the rows go by way of a temporary table: from there they are taken in thousands, and what is refused is cut in halves
//! until the bad rows stand alone. So whatever refuses a row (type, constraint, trigger) is named, and none of that has to be known
//! here. Standard input can be read once only and takes the second way at once.

pub mod csv;
pub mod rejects;

use std::io;
use std::path::PathBuf;

use futures_util::SinkExt;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt};
use tokio_postgres::CopyInSink;
use tokio_postgres::error::DbError;
use tokio_util::bytes::Bytes;

use crate::load::csv::{CsvError, Record, Splitter, copy_field};
use crate::load::rejects::Rejects;
use crate::postgres::load::{Statements, copy_in};
use crate::postgres::session::{PostgresError, Session};

/// Read at once, and sent at once.
const PIECE: usize = 256 << 10;

/// Rows taken from the temporary table by one statement, as long as all are good.
const BATCH: i64 = 10_000;

/// Classes of SQLSTATE that speak of a row and not of the statement: cardinality, data, constraints, WITH CHECK, RAISE.
const OF_A_ROW: [&str; 5] = ["21", "22", "23", "44", "P0"];

/// Nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// It is no CSV.
    #[error("the file is no CSV")]
    Csv(#[from] CsvError),
    /// Bad rows cannot be kept.
    #[error("cannot write the refused rows to {}", path.display())]
    Rejects {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server said no, and not because of a row.
    #[error(transparent)]
    Server(#[from] PostgresError),
    /// More rows are bad than may be.
    #[error("{count} rows were refused, and {most} may be (`--max-rejects`): nothing was loaded")]
    TooMany {
        /// How many.
        count: u64,
        /// How many may be.
        most: u64,
    },
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Rows in the file.
    pub read: u64,
    /// Rows that were inserted, or took the place of one with the same key.
    pub loaded: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Rows that a later row of the file replaced, or that a trigger passed over.
    pub skipped: u64,
    /// Where the refused rows are.
    pub rejects: Option<PathBuf>,
}

/// What is loaded, and how.
#[derive(Debug)]
pub struct Order<'a> {
    /// The statements for its columns.
    pub statements: &'a Statements,
    /// The fields of a record that go into the table, in the order of those columns.
    pub fields: &'a [usize],
    /// How many fields a record has.
    pub width: usize,
    /// Between fields.
    pub delimiter: u8,
    /// More refused rows than that, and nothing is loaded.
    pub max_rejects: Option<u64>,
    /// Where refused rows go.
    pub rejects_path: PathBuf,
}

/// A file, or what can be read once only.
pub enum Source {
    /// Can be read again from the beginning.
    File(tokio::fs::File),
    /// Standard input.
    Stream(Box<dyn AsyncRead + Unpin + Send>),
}

/// Which way rows go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Straight,
    Staged,
}

/// Loads it. `tell` is told how many bytes were read, or how many rows were taken of how many.
pub async fn run(
    session: &Session,
    source: Source,
    order: &Order<'_>,
    rejects: &mut Rejects,
    tell: &dyn Fn(Progress),
) -> Result<Loaded, LoadError> {
    session.run("begin to load", "begin").await?;
    let done = Box::pin(whole(session, source, order, rejects, tell)).await;
    // With the session the transaction ends in any case.
    let end = if done.is_ok() { "commit" } else { "rollback" };
    let ended = session.run("end the load", end).await;
    let loaded = done?;
    ended?;
    Ok(loaded)
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Bytes of the file.
    Read(u64),
    /// Rows taken from the temporary table, and how many there are.
    Taken(u64, u64),
}

async fn whole(
    session: &Session,
    source: Source,
    order: &Order<'_>,
    rejects: &mut Rejects,
    tell: &dyn Fn(Progress),
) -> Result<Loaded, LoadError> {
    let mut loaded = match source {
        Source::Stream(mut stream) => staged(session, &mut stream, order, rejects, tell).await?,
        Source::File(mut file) => {
            session.run("begin to load", "savepoint straight").await?;
            if let Some(loaded) = straight(session, &mut file, order, rejects, tell).await? {
                loaded
            } else {
                session.run("begin again", "rollback to savepoint straight").await?;
                rejects.restart().map_err(|source| order.kept(source))?;
                file.rewind().await.map_err(LoadError::Read)?;
                staged(session, &mut file, order, rejects, tell).await?
            }
        }
    };
    loaded.rejected = rejects.count;
    loaded.skipped = loaded.read.saturating_sub(loaded.loaded + loaded.rejected);
    if let Some(most) = order.max_rejects.filter(|most| loaded.rejected > *most) {
        rejects.finish().map_err(|source| order.kept(source))?;
        return Err(LoadError::TooMany { count: loaded.rejected, most });
    }
    loaded.rejects = rejects.finish().map_err(|source| order.kept(source))?;
    Ok(loaded)
}

/// By COPY into the table; `None` when the server refuses a row.
async fn straight<R: AsyncRead + AsyncSeek + Unpin>(
    session: &Session,
    file: &mut R,
    order: &Order<'_>,
    rejects: &mut Rejects,
    tell: &dyn Fn(Progress),
) -> Result<Option<Loaded>, LoadError> {
    let failed = |source| LoadError::from(session.failed("load rows", source));
    let sink = copy_in(session, &order.statements.copy).await.map_err(failed)?;
    match send(sink, file, order, Way::Straight, rejects, tell).await? {
        Ok((read, loaded)) => Ok(Some(Loaded { read, loaded, ..Loaded::default() })),
        Err(error) if error.as_db_error().is_some_and(is_of_a_row) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// By way of a temporary table.
async fn staged<R: AsyncRead + Unpin>(
    session: &Session,
    source: &mut R,
    order: &Order<'_>,
    rejects: &mut Rejects,
    tell: &dyn Fn(Progress),
) -> Result<Loaded, LoadError> {
    let failed = |source| LoadError::from(session.failed("put rows into a temporary table", source));
    session.run("make a temporary table", &order.statements.stage).await?;
    let sink = copy_in(session, &order.statements.copy_staged).await.map_err(failed)?;
    let (read, staged) = send(sink, source, order, Way::Staged, rejects, tell).await?.map_err(failed)?;
    session.run("index the temporary table", "create index on pg_temp.hypertide_load (number)").await?;
    let mut loaded = Loaded { read, ..Loaded::default() };
    let last = i64::try_from(staged).unwrap_or(i64::MAX);
    let mut begin = 1;
    while begin <= last {
        let end = last.min(begin + BATCH - 1);
        loaded.loaded += take(session, order, (begin, end), rejects).await?;
        tell(Progress::Taken(end.unsigned_abs(), staged));
        begin = end + 1;
    }
    Ok(loaded)
}

/// Takes rows of these numbers into the table, and puts the bad ones aside.
async fn take(
    session: &Session,
    order: &Order<'_>,
    range: (i64, i64),
    rejects: &mut Rejects,
) -> Result<u64, LoadError> {
    let client = session.client();
    let failed = |source| LoadError::from(session.failed("take rows from the temporary table", source));
    let statement = client.prepare(&order.statements.take).await.map_err(failed)?;
    let mut loaded = 0;
    let mut ranges = vec![range];
    while let Some((first, last)) = ranges.pop() {
        session.run("take rows", "savepoint batch").await?;
        let error = match client.execute(&statement, &[&first, &last]).await {
            Ok(rows) => {
                session.run("take rows", "release savepoint batch").await?;
                loaded += rows;
                continue;
            }
            Err(error) => error,
        };
        let Some(answer) = error.as_db_error().filter(|answer| is_of_a_row(answer)).cloned() else {
            return Err(failed(error));
        };
        session.run("take rows", "rollback to savepoint batch; release savepoint batch").await?;
        if first < last {
            let middle = first + (last - first) / 2;
            // In the order of the file: of two rows with the same key the later one stays.
            ranges.extend([(middle + 1, last), (first, middle)]);
        } else {
            reject(session, order, first, &answer, rejects).await?;
        }
    }
    Ok(loaded)
}

/// Puts one row aside.
async fn reject(
    session: &Session,
    order: &Order<'_>,
    number: i64,
    answer: &DbError,
    rejects: &mut Rejects,
) -> Result<(), LoadError> {
    let client = session.client();
    let failed = |source| LoadError::from(session.failed("read a refused row", source));
    let row = client.query_one(&order.statements.row, &[&number]).await.map_err(failed)?;
    let mut reason = answer.message().to_owned();
    if answer.code().code().starts_with("22") {
        let odd = client.query_one(&order.statements.odd_column, &[&number]).await.map_err(failed)?;
        if let Some(column) = odd.get::<_, Option<String>>(0) {
            reason = format!("{reason} (column {column})");
        }
    }
    let fields: Vec<Option<String>> = (1..=order.fields.len()).map(|place| row.get(place)).collect();
    // Those of the file that go nowhere were not kept.
    let whole = (0..order.width).map(|place| {
        let at = order.fields.iter().position(|field| *field == place)?;
        fields[at].as_deref().map(str::as_bytes)
    });
    let line = u64::try_from(row.get::<_, i64>(0)).unwrap_or_default();
    rejects.add(line, &reason, whole).map_err(|source| order.kept(source))
}

fn is_of_a_row(answer: &DbError) -> bool {
    OF_A_ROW.iter().any(|class| answer.code().code().starts_with(class))
}

/// Sends the rows of a file; gives how many it has and how many the server took. The server's refusal is the inner error.
async fn send<R: AsyncRead + Unpin>(
    sink: CopyInSink<Bytes>,
    source: &mut R,
    order: &Order<'_>,
    way: Way,
    rejects: &mut Rejects,
    tell: &dyn Fn(Progress),
) -> Result<Result<(u64, u64), tokio_postgres::Error>, LoadError> {
    let mut sink = Box::pin(sink);
    let mut rows = Rows { order, way, rejects, out: Vec::with_capacity(2 * PIECE), read: 0, sent: 0, is_header: true };
    let mut splitter = Splitter::new(order.delimiter);
    let (mut piece, mut bytes) = (vec![0; PIECE], 0);
    loop {
        let count = source.read(&mut piece).await.map_err(LoadError::Read)?;
        let mut wrong = None;
        let mut add = |record: Record<'_>| {
            if wrong.is_none() {
                wrong = rows.add(record).err();
            }
        };
        if count == 0 {
            splitter.finish(&mut add)?;
        } else {
            splitter.feed(&piece[..count], &mut add)?;
        }
        if let Some(source) = wrong {
            return Err(order.kept(source));
        }
        bytes += count as u64;
        tell(Progress::Read(bytes));
        if !rows.out.is_empty() {
            let full = std::mem::replace(&mut rows.out, Vec::with_capacity(2 * PIECE));
            if let Err(error) = sink.send(Bytes::from(full)).await {
                return Ok(Err(error));
            }
        }
        if count == 0 {
            break;
        }
    }
    let read = rows.read;
    Ok(sink.as_mut().finish().await.map(|taken| (read, taken)))
}

/// Rows on their way into COPY's text format.
struct Rows<'a> {
    order: &'a Order<'a>,
    way: Way,
    rejects: &'a mut Rejects,
    out: Vec<u8>,
    read: u64,
    sent: u64,
    is_header: bool,
}

impl Rows<'_> {
    /// Adds one, or puts it aside when no server could read it.
    fn add(&mut self, record: Record<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.is_header) || (record.is_empty() && self.order.width > 1) {
            return Ok(());
        }
        self.read += 1;
        if record.len() != self.order.width {
            let reason = format!("{} fields, and the header has {}", record.len(), self.order.width);
            return self.rejects.add(record.line, &reason, record.fields());
        }
        if std::str::from_utf8(record.bytes()).is_err() || record.bytes().contains(&0) {
            return self.rejects.add(record.line, "not UTF-8, or a NUL in it", record.fields());
        }
        self.sent += 1;
        if self.way == Way::Staged {
            self.out.extend_from_slice(format!("{}\t{}\t", self.sent, record.line).as_bytes());
        }
        let fields: Vec<Option<&[u8]>> = record.fields().collect();
        for (place, field) in self.order.fields.iter().enumerate() {
            if place > 0 {
                self.out.push(b'\t');
            }
            copy_field(&mut self.out, fields[*field]);
        }
        self.out.push(b'\n');
        Ok(())
    }
}

impl Order<'_> {
    fn kept(&self, source: io::Error) -> LoadError {
        LoadError::Rejects { path: self.rejects_path.clone(), source }
    }
}
