//! Logical backups of the shared cluster's databases: each kind ends with a manifest whose objects are there, whose contents
//! are the database's, and which is the same for the same database.

use std::path::Path;
use std::sync::Arc;

use hypertide::backup::contents::{Contents, differences};
use hypertide::backup::error::{BackupError, Weight};
use hypertide::backup::manifest::{Manifest, Part};
use hypertide::backup::pipeline;
use hypertide::backup::run::{self, Order, Origin};
use hypertide::backup::source;
use hypertide::model::backup::{Kind, ObjectKey, Sealing};
use hypertide::model::cluster::Role;
use hypertide::model::names::{Ident, TableName};
use hypertide::postgres::contents::objects::Depth;
use hypertide::postgres::session::Session;
use hypertide::site::Site;
use hypertide::store::Store;
use hypertide::store::disk::Disk;
use tokio_util::sync::CancellationToken;

use crate::shared::{primary, shared, site};

/// Of everything a backup has to bring back, at least one.
const RICH: &str = include_str!("rich.sql");

/// A database of one test's own with everything in it, dropped by the end of the cluster.
fn rich() -> Ident {
    let mut random = [0; 4];
    getrandom::fill(&mut random).unwrap();
    let name = format!("rich_{:08x}", u32::from_ne_bytes(random));
    let world = shared();
    world.sql("primary", &format!("create database {name}"));
    in_database(&name, "create extension if not exists timescaledb");
    in_database(&name, RICH);
    Ident::new(&name).unwrap()
}

fn in_database(name: &str, sql: &str) -> String {
    let args = ["psql", "primary", "--", "-AtqX", "-v", "ON_ERROR_STOP=1", "-d", name, "-c", sql];
    shared().ok(&args).stdout.trim().to_owned()
}

/// The shared cluster, with another database.
async fn site_of(database: &Ident) -> Site {
    let mut site = site(shared()).await;
    site.desired.database = database.clone();
    site.secrets(&[]).await.unwrap();
    site
}

async fn order<'a>(site: &'a Site, kind: Kind, store: &Arc<dyn Store>) -> Order<'a> {
    Order {
        job: None,
        scope: "test".parse().unwrap(),
        kind,
        origin: Origin::node(site, &primary(), shared().ports[0], Role::Primary, None).await.unwrap(),
        store: store.clone(),
        sealing: Sealing::default(),
        parallel: 1,
        tables: Vec::new(),
        has_fingerprints: true,
        base: None,
        stop: CancellationToken::new(),
    }
}

async fn session(site: &Site) -> Session {
    let target = site.target(&primary(), shared().ports[0], &site.desired.database).unwrap();
    Session::connect(&target).await.unwrap()
}

fn store(dir: &Path) -> Arc<dyn Store> {
    Arc::new(Disk::new(dir.to_owned()))
}

/// Every object is there, and is what the manifest says.
async fn check(store: &Arc<dyn Store>, manifest: &Manifest) {
    for object in &manifest.objects {
        let checked = pipeline::check(store, &key(manifest, &object.name), object, None).await;
        checked.unwrap_or_else(|error| panic!("{}: {error}", object.name));
    }
}

fn key(manifest: &Manifest, name: &str) -> ObjectKey {
    format!("{}/{}/{name}", manifest.scope, manifest.id).parse().unwrap()
}

async fn bytes(store: &Arc<dyn Store>, manifest: &Manifest, part: Part) -> Vec<u8> {
    let object = manifest.object(part).unwrap().clone();
    let mut source = pipeline::unseal(store.clone(), key(manifest, &object.name), &object, None, |_| ()).unwrap();
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut source, &mut bytes).unwrap();
        bytes
    })
    .await
    .unwrap()
}

async fn contents(store: &Arc<dyn Store>, manifest: &Manifest) -> Contents {
    serde_json::from_slice(&bytes(store, manifest, Part::Contents).await).unwrap()
}

#[tokio::test]
async fn a_full_backup_says_what_is_in_the_database() {
    let database = rich();
    let site = site_of(&database).await;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for parallel in [1, 2] {
        let order = Order { parallel, ..order(&site, Kind::Full, &store).await };
        let manifest = run::run(order, &|_| ()).await.unwrap();
        check(&store, &manifest).await;
        let contents = contents(&store, &manifest).await;
        let found = source::found(&session(&site).await, &contents, Depth::Dump).await.unwrap();
        assert_eq!(differences(&contents, &found), []);
        assert_eq!(manifest.totals.rows, 800 + 200 + 100 + 2 + 1 + 1);
        assert_eq!(manifest.totals.hypertables, 3);
        assert!(contents.objects.keys().any(|name| name.starts_with("chunk ")));
    }
    // A row that comes and a comment that goes are seen.
    let manifest = run::run(order(&site, Kind::Full, &store).await, &|_| ()).await.unwrap();
    let contents = contents(&store, &manifest).await;
    in_database(
        database.as_str(),
        "update market.bars set volume = volume + 1 where ts = (select min(ts) from market.bars); \
         comment on table market.exchanges is null",
    );
    let found = source::found(&session(&site).await, &contents, Depth::Dump).await.unwrap();
    let differing: Vec<String> = differences(&contents, &found).into_iter().map(|one| one.what).collect();
    assert_eq!(differing.len(), 2, "{differing:?}");
}

#[tokio::test]
async fn the_schema_as_text_restores_to_an_equal_schema_and_stays_the_same() {
    let database = rich();
    let site = site_of(&database).await;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let manifest = run::run(order(&site, Kind::Schema, &store).await, &|_| ()).await.unwrap();
    check(&store, &manifest).await;
    let wanted = contents(&store, &manifest).await;
    let text = String::from_utf8(bytes(&store, &manifest, Part::Ddl).await).unwrap();

    let copy = Ident::new(&format!("{database}_copy")).unwrap();
    shared().sql("primary", &format!("create database {copy}"));
    in_database(copy.as_str(), "drop extension if exists timescaledb");
    in_database(copy.as_str(), &format!("begin;\n{text}\ncommit;"));
    let copied = site_of(&copy).await;
    let found = source::found(&session(&copied).await, &wanted, Depth::Schema).await.unwrap();
    assert_eq!(differences(&wanted, &found), []);

    // The copy has no chunks.
    for site in [&site, &copied] {
        let again = run::run(order(site, Kind::Schema, &store).await, &|_| ()).await.unwrap();
        let again = String::from_utf8(bytes(&store, &again, Part::Ddl).await).unwrap();
        assert_eq!(again, text);
    }
}

#[tokio::test]
async fn tables_and_globals_are_backed_up_by_themselves() {
    let database = rich();
    let site = site_of(&database).await;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let tables = vec![TableName::new("market", "bars").unwrap(), TableName::new("market", "exchanges").unwrap()];
    let order_tables = Order { tables, ..order(&site, Kind::Tables, &store).await };
    let manifest = run::run(order_tables, &|_| ()).await.unwrap();
    check(&store, &manifest).await;
    assert_eq!(manifest.totals.rows, 802);
    let rows = String::from_utf8(bytes(&store, &manifest, Part::Table).await).unwrap();
    assert_eq!(rows.lines().count(), 801, "a header line and a line for each row");
    assert!(!rows.lines().next().unwrap().contains("spread"), "a generated column cannot be copied back");

    let manifest = run::run(order(&site, Kind::Globals, &store).await, &|_| ()).await.unwrap();
    check(&store, &manifest).await;
    let text = String::from_utf8(bytes(&store, &manifest, Part::Globals).await).unwrap();
    assert!(text.contains("CREATE ROLE"), "{text}");
    assert!(!text.contains("SCRAM-SHA-256"), "verifiers are secrets");

    let missing = vec![TableName::new("market", "nothing").unwrap()];
    let missing = Order { tables: missing, ..order(&site, Kind::Tables, &store).await };
    let error = run::run(missing, &|_| ()).await.unwrap_err();
    assert!(matches!(error, BackupError::NoTable { .. }), "{error}");
    assert_eq!(error.weight(), Weight::Refused);
}

#[tokio::test]
async fn a_dump_that_fails_leaves_nothing() {
    let database = rich();
    let site = site_of(&database).await;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let stopped = order(&site, Kind::Full, &store).await;
    stopped.stop.cancel();
    assert!(matches!(run::run(stopped, &|_| ()).await.unwrap_err(), BackupError::Stopped));

    // Nobody can dump a sequence in a schema that is not there.
    in_database(
        database.as_str(),
        "create sequence public.lost; update pg_class set relnamespace = 99999 where oid = 'public.lost'::regclass",
    );
    let error = run::run(order(&site, Kind::Full, &store).await, &|_| ()).await.unwrap_err();
    let told = hypertide::error::causes(&error).join(" ");
    assert!(told.contains("99999"), "{error} {told}");
    let left = store.list(None).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    shared().sql("primary", &format!("drop database {database} with (force)"));
}
#[test]
fn a_committed_schema_that_differs_is_found() {
    let database = rich();
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let pgpass = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    let password = pgpass.lines().find_map(|line| line.strip_prefix("*:*:*:postgres:")).unwrap().to_owned();
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", world.ports[0]);
    let dump = |more: &str| {
        let output = world
            .command(&["schema", "dump", "--url", &url, more, dir.path().to_str().unwrap()])
            .env("PGPASSWORD", &password)
            .output()
            .unwrap();
        crate::world::Run::of(&output)
    };
    let run = dump("--out");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let run = dump("--check");
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    in_database(database.as_str(), "alter table market.exchanges alter column name type varchar(9)");
    let run = dump("--check");
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("-    name text DEFAULT ''::text NOT NULL,"), "{}", run.stdout);
    assert!(run.stdout.contains("+    name character varying(9)"), "{}", run.stdout);
    assert!(!run.stderr.contains(&password));
}
