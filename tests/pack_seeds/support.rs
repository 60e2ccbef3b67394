//! What every check of a pack uses: asking, running, being refused, and applying packs as hypertide does.

use hypertide::model::cluster::Edition;
use hypertide::model::desired::PackRef;
use hypertide::model::names::Ident;
use hypertide::model::pack::{Applied, AppliedMigration, MigrationId, Pack};
use hypertide::plan::migrations::{Ground, compare};
use hypertide::schema::packs;
use tokio_postgres::Client;

/// What a check found wrong.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs each check in a transaction that is rolled back, and lists those that failed.
macro_rules! checks {
    ($client:expr, $failures:expr, [$($check:path),+ $(,)?]) => {
        $(
            $client.batch_execute("begin").await.expect("begin");
            if let Err(failure) = $check($client).await {
                $failures.push(format!("{}: {failure}", stringify!($check)));
            }
            $client.batch_execute("rollback").await.expect("rollback");
        )+
    };
}
pub(crate) use checks;

/// Asks for rows of one text column.
pub async fn ask(client: &Client, sql: &str) -> Result<Vec<String>, Failure> {
    let rows = client.query(sql, &[]).await.map_err(|error| told(&error))?;
    let texts = rows.iter().map(|row| row.try_get::<_, Option<String>>(0));
    Ok(texts.map(|text| text.map(|text| text.unwrap_or_else(|| "null".to_owned()))).collect::<Result<_, _>>()?)
}

/// Asks, and compares with what is expected.
pub async fn expect(client: &Client, sql: &str, expected: &[&str]) -> Result<(), Failure> {
    let found = ask(client, sql).await?;
    if found == expected { Ok(()) } else { Err(format!("{sql}: expected {expected:#?}, found {found:#?}").into()) }
}

/// Runs statements whose results do not matter.
pub async fn run(client: &Client, sql: &str) -> Result<(), Failure> {
    client.batch_execute(sql).await.map_err(|error| told(&error))
}

/// Runs statements that must fail, the failure naming `name`: a constraint, a column or words of the message.
pub async fn refused(client: &Client, name: &str, sql: &str) -> Result<(), Failure> {
    client.batch_execute("savepoint refused").await.map_err(|error| told(&error))?;
    let outcome = client.batch_execute(sql).await;
    client.batch_execute("rollback to refused").await.map_err(|error| told(&error))?;
    let Err(error) = outcome else { return Err(format!("not refused: {sql}").into()) };
    let Some(error) = error.as_db_error() else { return Err(error.to_string().into()) };
    let told = [error.constraint(), error.column(), Some(error.message())];
    if told.into_iter().flatten().any(|text| text.contains(name)) {
        Ok(())
    } else {
        Err(format!("{sql}: expected {name} to refuse it, and was told {error}").into())
    }
}

/// The server's own words, which the driver's Display leaves out.
fn told(error: &tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(error) => error.to_string().into(),
        None => error.to_string().into(),
    }
}

pub async fn edition(client: &Client) -> Edition {
    let row =
        client.query_one("select current_setting('timescaledb.license')", &[]).await.expect("TimescaleDB is loaded");
    if row.get::<_, &str>(0) == "timescale" { Edition::Community } else { Edition::Apache }
}

/// The built-in packs of these names.
pub fn load(names: &[&str]) -> Vec<Pack> {
    let refs: Vec<_> = names.iter().map(|name| PackRef::BuiltIn((*name).to_owned())).collect();
    packs::load(&refs).expect("the built-in packs are sound")
}

/// Installs hypertide's schema.
pub async fn install_catalog(client: &Client) -> Result<(), Failure> {
    run(client, &hypertide::postgres::setup::CATALOG.concat()).await
}

/// Applies the packs, with the record and the grants that hypertide adds.
pub async fn install(client: &Client, packs: &[Pack]) -> Result<(), Failure> {
    let ground = Ground { edition: Some(edition(client).await), has_logical_replica: false };
    let verdict = compare(packs, &applied(client).await?, ground);
    for id in verdict.to_apply {
        let pack = packs.iter().find(|pack| pack.name == id.pack).expect("the planner names migrations of the packs");
        let migration = pack.migrations.iter().find(|migration| migration.id == id).expect("it is one of its pack's");
        let schemas: Vec<&str> = pack.schemas.iter().map(Ident::as_str).collect();
        let script = format!(
            "begin;\n{}\n;
             insert into hypertide.schema_migrations (pack, number, what, checksum)
             values ('{}', {}, '{}', '{}');
             select hypertide.grant_access(nspname, true) from pg_namespace where nspname = any ('{{{}}}');
             commit",
            migration.sql,
            id.pack,
            id.number,
            id.what,
            migration.checksum,
            schemas.join(",")
        );
        run(client, &script).await.map_err(|failure| format!("{id}: {failure}"))?;
    }
    Ok(())
}

/// What another `up` would apply or refuse: nothing.
pub async fn left_to_do(client: &Client, packs: &[Pack]) -> Result<String, Failure> {
    let ground = Ground { edition: Some(edition(client).await), has_logical_replica: false };
    let verdict = compare(packs, &applied(client).await?, ground);
    Ok(format!("{:?} {:?}", verdict.to_apply, verdict.refused))
}

async fn applied(client: &Client) -> Result<Applied, Failure> {
    let rows = client.query("select pack, number, what, checksum from hypertide.schema_migrations", &[]).await?;
    rows.iter()
        .map(|row| {
            let number: i32 = row.try_get(1)?;
            let id = MigrationId { pack: row.try_get(0)?, number: u32::try_from(number)?, what: row.try_get(2)? };
            Ok(AppliedMigration { id, checksum: row.try_get(3)? })
        })
        .collect()
}
