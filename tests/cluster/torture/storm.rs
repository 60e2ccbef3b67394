//! Writers that know exactly what was acknowledged.
//!
//! Each transaction writes one mark, a row with a negative id that nobody ever touches again, into one of three
//! hypertables, and upserts, updates and deletes other rows at will. Times are drawn from everything within reach, so rows
//! come late, early and out of order, and make chunks wherever they fall.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error};

use crate::world::{World, connect};

pub const WRITERS: u64 = 4;

/// Rows that are written again and again.
const CHURN: u64 = 3000;

/// Milliseconds between two transactions of a writer, at most: the mirror shares the machine.
const PAUSE: u64 = 60;

/// How long a server may take to answer before a writer asks anew.
const ANSWER: Duration = Duration::from_secs(5);

/// How long the writers may take to write something, restarts included.
const PATIENCE: Duration = Duration::from_mins(5);

pub const MANIFEST: &str = "name: storm\ndescription: Rows from everywhere\npublished: [Storm]\n\
    chunk_schemas: [Storm Chunks]\nschemas: [Storm, Storm Chunks]\n";

pub const SCHEMA: &str = r#"create schema "Storm";
create schema "Storm Chunks";
create table "Storm".hashed (id bigint, at timestamptz, who text, v bigint not null, primary key (id, at, who));
select create_hypertable('"Storm".hashed', by_range('at', interval '1 hour'));
select add_dimension('"Storm".hashed', by_hash('who', 2));
create table "Storm"."Mixed Case" ("Id" bigint, "When" timestamptz, who text, "The Value" bigint, primary key ("Id", "When"));
select create_hypertable('"Storm"."Mixed Case"', by_range('When', interval '1 hour'));
create table "Storm".own (id bigint, at timestamptz, who text, v bigint, primary key (id, at));
select create_hypertable('"Storm".own', 'at', chunk_time_interval => interval '1 hour',
  associated_schema_name => 'Storm Chunks');
"#;

pub const HYPERTABLES: [&str; 3] = [r#""Storm".hashed"#, r#""Storm"."Mixed Case""#, r#""Storm".own"#];

/// Columns of each: id, time, who, value.
const COLUMNS: [[&str; 4]; 3] =
    [["id", "at", "who", "v"], [r#""Id""#, r#""When""#, "who", r#""The Value""#], ["id", "at", "who", "v"]];

/// Names and slices of all chunks of a hypertable.
pub fn chunks(hypertable: &str) -> String {
    format!(
        "select relation::regclass, slices from hypertide.chunks(array['{hypertable}'::regclass::oid])
         order by relation::regclass::text"
    )
}

/// Marks in a hypertable.
pub fn count(hypertable: &str) -> String {
    let place = HYPERTABLES.iter().position(|known| *known == hypertable).unwrap();
    format!("select count(*) from {hypertable} where {} < 0", COLUMNS[place][0])
}

/// A mark whose commit was acknowledged before this time of the server, in microseconds.
#[derive(Clone, Copy)]
pub struct Acknowledged {
    pub mark: i64,
    pub before: i64,
}

pub struct Storm<'a> {
    world: &'a World,
    acknowledged: RefCell<Vec<Acknowledged>>,
    /// Hours in which rows lie: two chunks each for the first hypertable, one for each of the others.
    hours: Cell<u64>,
    is_over: Cell<bool>,
}

impl<'a> Storm<'a> {
    pub fn new(world: &'a World) -> Self {
        Self { world, acknowledged: RefCell::default(), hours: Cell::new(1), is_over: Cell::new(false) }
    }

    /// From now on rows lie in this many hours.
    pub fn reach(&self, hours: u64) {
        self.hours.set(hours);
    }

    pub fn stop(&self) {
        self.is_over.set(true);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    pub fn marks(&self) -> usize {
        self.acknowledged.borrow().len()
    }

    /// Marks that were acknowledged before a time of the server.
    pub fn acknowledged_before(&self, time: i64) -> Vec<i64> {
        self.acknowledged.borrow().iter().filter(|mark| mark.before < time).map(|mark| mark.mark).collect()
    }

    /// Waits for as many more marks.
    pub async fn goes_on(&self, more: usize) {
        let (began, wanted) = (Instant::now(), self.marks() + more);
        while self.marks() < wanted {
            assert!(began.elapsed() < PATIENCE, "{} of {wanted} marks were written", self.marks());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many chunks the primary has; `None` when it does not answer.
    pub async fn chunks(&self) -> Option<u64> {
        let client = open(self.world, self.world.ports[0], "app").await?;
        let sql = "select count(*) from timescaledb_information.chunks where hypertable_schema = 'Storm'";
        let row = answer(client.query_one(sql, &[])).await?;
        u64::try_from(row.get::<_, i64>(0)).ok()
    }

    /// Writes until the storm is over, on a new connection whenever the server went away.
    pub async fn write(&self, writer: u64, seed: u64) {
        let mut random = Random(seed.wrapping_mul(WRITERS).wrapping_add(writer));
        let mut number = 0;
        while !self.is_over() {
            let Some(client) = open(self.world, self.world.ports[0], "app").await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            while !self.is_over() {
                number += 1;
                let mark = -i64::try_from(number * WRITERS + writer).unwrap();
                match answer(self.commit(&client, mark, &mut random)).await {
                    Some(before) => self.acknowledged.borrow_mut().push(Acknowledged { mark, before }),
                    // A deadlock ends a transaction; a server that is gone, or does not answer, the connection.
                    None if client.is_closed() || client.batch_execute("rollback").await.is_err() => break,
                    None => {}
                }
                tokio::time::sleep(Duration::from_millis(random.below(PAUSE))).await;
            }
        }
    }

    /// One transaction, and a time of the server after its commit was acknowledged.
    async fn commit(&self, client: &Client, mark: i64, random: &mut Random) -> Result<i64, Error> {
        let mut sql = format!("begin; {};", insert(random.below(3), mark, random.below(self.hours.get()), random));
        for _ in 0..random.below(3) {
            sql += &self.churn(random);
        }
        client.batch_execute(&sql).await?;
        client.batch_execute("commit").await?;
        now(client).await
    }

    /// Writes, changes or deletes one of the rows that are there to be changed.
    fn churn(&self, random: &mut Random) -> String {
        let (table, id) = (random.below(3), random.below(CHURN));
        let place = usize::try_from(table).unwrap();
        let (name, [id_column, at, _, v]) = (HYPERTABLES[place], COLUMNS[place]);
        match random.below(5) {
            0 => format!("delete from {name} where {id_column} = {id};"),
            1 => format!("update {name} set {v} = {v} + 1 where {id_column} = {id};"),
            _ => {
                let key = if table == 0 { format!("{id_column}, {at}, who") } else { format!("{id_column}, {at}") };
                let insert = insert(table, i64::try_from(id).unwrap(), id * 7919 % self.hours.get(), random);
                format!("{insert} on conflict ({key}) do update set {v} = excluded.{v};")
            }
        }
    }
}

fn insert(table: u64, id: i64, hour: u64, random: &mut Random) -> String {
    let place = usize::try_from(table).unwrap();
    format!(
        "insert into {} values ({id}, timestamptz '2024-01-01' + interval '{} minutes', 'who{}', {})",
        HYPERTABLES[place],
        hour * 60 + id.unsigned_abs() % 60,
        id.rem_euclid(7),
        random.below(1_000_000)
    )
}

/// The server's clock, in microseconds.
pub async fn now(client: &Client) -> Result<i64, Error> {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// All marks a node has.
pub async fn marks(client: &Client) -> Result<Vec<i64>, Error> {
    let all = (0..3).map(|place| {
        let [id, ..] = COLUMNS[place];
        format!("select {id} from {} where {id} < 0", HYPERTABLES[place])
    });
    let sql = all.collect::<Vec<_>>().join(" union all ");
    Ok(client.query(&sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// A connection; `None` when there is none to be had now.
pub async fn open(world: &World, port: u16, role: &str) -> Option<Client> {
    answer(connect(world, port, role)).await
}

/// What a server answers, if it does.
pub async fn answer<T>(asked: impl Future<Output = Result<T, Error>>) -> Option<T> {
    tokio::time::timeout(ANSWER, asked).await.ok()?.ok()
}

/// SplitMix64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
