//! Backups of each kind, made step by step from a server in a sandbox: 50 chunks, a hash dimension, a foreign key, a trigger,
//! identity columns. What makes backups in earnest is tested elsewhere; these are for what reads them.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use chrono::Utc;
use hypertide::backup::contents::{Contents, TableFacts};
use hypertide::backup::drill::Means;
use hypertide::backup::manifest::{
    FILE_NAME, FORMAT, Manifest, ObjectRecord, Part, Position, RestorePoint, SourceFacts, Totals,
};
use hypertide::backup::pipeline::{self, Keys, Plain, Seal};
use hypertide::backup::restore::found;
use hypertide::backup::restore::place::Place;
use hypertide::backup::sandbox::Sandbox;
use hypertide::backup::tools::Tool;
use hypertide::backup::wal::archive::{self, LogFile, Sum};
use hypertide::docker::engine::Engine;
use hypertide::docker::image;
use hypertide::docker::shared_dir::SharedPlace;
use hypertide::model::backup::{BackupId, Kind, ObjectKey, Scope, Sealing};
use hypertide::model::names::Ident;
use hypertide::model::observed::ImageFacts;
use hypertide::model::seen::Seen;
use hypertide::plan::image::ImagePlan;
use hypertide::store::Store;
use hypertide::store::disk::Disk;

/// What is in the database.
const DATABASE: &str = include_str!("drill.sql");

/// The server and the store.
pub struct Made {
    pub engine: Engine,
    pub image: ImageFacts,
    pub sandbox: Sandbox,
    pub place: Place,
    pub store: Arc<dyn Store>,
    pub dir: tempfile::TempDir,
    pub scope: Scope,
    pub how: Seal,
    pub keys: Option<Keys>,
}

pub fn database() -> Ident {
    Ident::new("shop").unwrap()
}

impl Made {
    pub async fn new() -> Self {
        let engine = Engine::connect().await.unwrap();
        let reference = image::provide(engine.client(), &ImagePlan::Build, &|_| ()).await.unwrap();
        let Seen::Present(image) = image::facts(engine.client(), &reference).await.unwrap() else { panic!("built") };
        let sandbox = Sandbox::create(&engine, &SharedPlace::Host, &image.id, None).await.unwrap();
        sandbox.init().await.unwrap();
        // As nodes have it.
        let hba = "echo 'host all all all scram-sha-256' >> \"$PGDATA\"/pg_hba.conf";
        sandbox.exec_ok(&["sh", "-c", hba]).await.unwrap();
        let settings = ["shared_preload_libraries=timescaledb", "timescaledb.max_background_workers=0", "fsync=off"];
        let settings = settings.into_iter().chain([
            "wal_level=logical",
            "summarize_wal=on",
            "max_connections=77",
            "wal_keep_size=1GB",
        ]);
        let server = sandbox.start(&settings.map(str::to_owned).collect::<Vec<_>>()).await.unwrap();
        sandbox.wait_ready(&server).await.unwrap();
        let place = Place::sandbox(&sandbox);
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Disk::new(dir.path().join("store")));
        let how = Seal::new(&Sealing::default()).unwrap();
        let made = Self { engine, image, sandbox, place, store, dir, scope: "shop".parse().unwrap(), how, keys: None };
        made.place.create(&database()).await.unwrap();
        made.sql("create extension timescaledb").await;
        made.sql(DATABASE).await;
        assert_eq!(made.ask("select count(*)::text from timescaledb_information.chunks").await, "50");
        made
    }

    pub async fn sql(&self, sql: &str) {
        self.place.session(&database()).await.unwrap().run("prepare the test", sql).await.unwrap();
    }

    pub async fn ask(&self, sql: &str) -> String {
        self.place.session(&database()).await.unwrap().client().query_one(sql, &[]).await.unwrap().get(0)
    }

    pub fn means(&self) -> Means {
        Means {
            engine: self.engine.clone(),
            shared: SharedPlace::Host,
            cluster: None,
            store: self.store.clone(),
            keys: self.keys.clone(),
            image: None,
            chance: 7_777_777,
        }
    }

    /// The file behind it.
    pub fn file(&self, manifest: &Manifest, name: &str) -> std::path::PathBuf {
        self.dir.path().join("store").join(key(manifest, name).as_str())
    }

    /// Stores what a program prints.
    async fn dumped(&self, id: &BackupId, name: &str, part: Part, tool: Tool) -> ObjectRecord {
        let name = format!("{name}{}", self.how.suffix());
        let key = format!("{}/{id}/{name}", self.scope).parse().unwrap();
        let reader = self.sandbox.toolbox().reading(&tool).unwrap();
        let sealed = pipeline::seal(reader, &self.how, &*self.store, &key, |_| ()).await.unwrap();
        sealed.record(&name, part, None, &self.how)
    }

    /// Stores bytes.
    pub async fn stored(&self, id: &BackupId, name: &str, part: Part, bytes: Vec<u8>) -> ObjectRecord {
        let name = format!("{name}{}", self.how.suffix());
        let key = format!("{}/{id}/{name}", self.scope).parse().unwrap();
        let source = Plain(std::io::Cursor::new(bytes));
        let sealed = pipeline::seal(source, &self.how, &*self.store, &key, |_| ()).await.unwrap();
        sealed.record(&name, part, None, &self.how)
    }

    pub async fn contents(&self, kind: Kind) -> Contents {
        found::contents(&self.place, &database(), kind, &Contents::default()).await.unwrap()
    }

    /// The manifest, with the contents beside it.
    pub async fn finish(&self, id: BackupId, kind: Kind, contents: &Contents, objects: Vec<ObjectRecord>) -> Manifest {
        let bytes = serde_json::to_vec(contents).unwrap();
        let mut objects = objects;
        objects.push(self.stored(&id, "contents.json", Part::Contents, bytes).await);
        let lsn = self.ask("select pg_current_wal_lsn()::text").await;
        let manifest = Manifest {
            format: FORMAT,
            id,
            scope: self.scope.clone(),
            kind,
            job: None,
            database: database().to_string(),
            source: self.source().await,
            position: Position { timeline: 1, lsn, end_lsn: None, restore_point: None },
            began: Utc::now(),
            finished: Utc::now(),
            fingerprint_seconds: 0.0,
            objects,
            totals: Totals { rows: contents.tables.values().map(|table| table.rows).sum(), ..Totals::default() },
            parent: None,
            tools: Vec::new(),
        };
        self.keep(&manifest).await;
        manifest
    }

    pub async fn keep(&self, manifest: &Manifest) {
        let bytes = manifest.to_json();
        self.store.put(&key(manifest, FILE_NAME), Box::pin(bytes.as_slice())).await.unwrap();
    }

    async fn source(&self) -> SourceFacts {
        SourceFacts {
            node: None,
            role: "primary".into(),
            system_identifier: self.ask("select system_identifier::text from pg_control_system()").await,
            postgres: "17".into(),
            postgres_major: 17,
            timescaledb: self.image.timescaledb.clone(),
            edition: Some("apache".into()),
            preload: "timescaledb".into(),
            image: Some(self.image.id.clone()),
            image_reference: Some(self.image.reference.clone()),
        }
    }

    fn pg_dump() -> Tool {
        Tool::new("pg_dump").args(["--format=custom", "--compress=none"])
    }

    /// A full backup in one archive, or with the rows of chunks in two more.
    pub async fn full(&self, is_parallel: bool) -> Manifest {
        let id = BackupId::new(Utc::now(), Kind::Full, random());
        let contents = self.contents(Kind::Full).await;
        let db = database();
        let mut objects = Vec::new();
        if is_parallel {
            let archive = Self::pg_dump().arg("--exclude-table-data=_timescaledb_internal._hyper_*").connected_to(&db);
            objects.push(self.dumped(&id, "archive.dump", Part::Archive, archive).await);
            for (number, pattern) in ["_hyper_1_*", "_hyper_[23]_*"].into_iter().enumerate() {
                let filter = format!("include table _timescaledb_internal.{pattern}\n");
                let rows = Self::pg_dump().arg("--data-only").file("--filter=", "filter", filter.into_bytes());
                let name = format!("rows-{number}.dump");
                objects.push(self.dumped(&id, &name, Part::Rows, rows.connected_to(&db)).await);
            }
        } else {
            objects.push(self.dumped(&id, "archive.dump", Part::Archive, Self::pg_dump().connected_to(&db)).await);
        }
        self.finish(id, Kind::Full, &contents, objects).await
    }

    fn without_rows() -> Tool {
        let of = ["shop.*", "_timescaledb_internal._hyper_*"].map(|table| format!("--exclude-table-data={table}"));
        Self::pg_dump().args(of).connected_to(&database())
    }

    pub async fn schema(&self) -> Manifest {
        let id = BackupId::new(Utc::now(), Kind::Schema, random());
        let contents = Contents { tables: BTreeMap::new(), ..self.contents(Kind::Schema).await };
        let archive = self.dumped(&id, "archive.dump", Part::Archive, Self::without_rows()).await;
        self.finish(id, Kind::Schema, &contents, vec![archive]).await
    }

    /// Two hypertables and a plain table, with what it takes to make them.
    pub async fn tables(&self) -> Manifest {
        let id = BackupId::new(Utc::now(), Kind::Tables, random());
        let named = ["shop.customers", "shop.orders", "shop.readings"];
        let mut contents = self.contents(Kind::Tables).await;
        contents
            .tables
            .retain(|name, facts: &mut TableFacts| named.contains(&facts.hypertable.as_ref().unwrap_or(name).as_str()));
        let mut objects = vec![self.dumped(&id, "archive.dump", Part::Archive, Self::without_rows()).await];
        for (number, table) in named.into_iter().enumerate() {
            let copy = format!("copy (select * from {table}) to stdout (header)");
            let tool = Tool::new("psql").args(["-X", "-q", "-c", &copy]).connected_to(&database());
            let name = format!("table-{number}.copy");
            let record = self.dumped(&id, &name, Part::Table, tool).await;
            objects.push(ObjectRecord { table: Some(table.to_owned()), ..record });
        }
        self.finish(id, Kind::Tables, &contents, objects).await
    }

    pub async fn globals(&self) -> Manifest {
        let id = BackupId::new(Utc::now(), Kind::Globals, random());
        let tool = Tool::new("pg_dumpall").arg("--globals-only").connected_to(&database());
        let record = self.dumped(&id, "globals.sql", Part::Globals, tool).await;
        self.finish(id, Kind::Globals, &Contents::default(), vec![record]).await
    }

    /// A base backup with a restore point behind it, and the log up to here in the archive. `parent`: only what changed since.
    pub async fn base(&self, parent: Option<&Manifest>) -> Manifest {
        let id = BackupId::new(Utc::now(), Kind::Base, random());
        let args = ["--format=tar", "--pgdata=-", "--wal-method=fetch", "--checkpoint=fast"];
        let mut tool = Tool::new("pg_basebackup").args(args);
        if let Some(parent) = parent {
            let record = parent.object(Part::BaseManifest).unwrap();
            let key = key(parent, &record.name);
            let mut unsealed = pipeline::unseal(self.store.clone(), key, record, self.keys.as_ref(), |_| ()).unwrap();
            let bytes = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                unsealed.read_to_end(&mut bytes).map(|_| bytes)
            });
            let bytes = bytes.await.unwrap().unwrap();
            tool = tool.file("--incremental=", "backup_manifest", bytes);
        }
        let tool = tool.connected_to(&Ident::new("postgres").unwrap());
        let mut reader = self.sandbox.toolbox().reading(&tool).unwrap();
        let bytes = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = bytes.await.unwrap().unwrap();
        let member = |name: &str| {
            let mut archive = tar::Archive::new(bytes.as_slice());
            let mut entries = archive.entries().unwrap().map(Result::unwrap);
            let mut entry = entries.find(|entry| entry.path().unwrap().ends_with(name)).unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            text
        };
        let label = member("backup_label");
        let start = label.lines().find_map(|line| line.strip_prefix("START WAL LOCATION: ")).unwrap();
        let start = start.split_whitespace().next().unwrap().to_owned();
        let base_manifest = member("backup_manifest").into_bytes();
        let contents = self.contents(Kind::Base).await;
        let point = RestorePoint {
            name: format!("hypertide-{id}"),
            lsn: self.ask(&format!("select pg_create_restore_point('hypertide-{id}')::text")).await,
        };
        let objects = vec![
            self.stored(&id, "base.tar", Part::Base, bytes.clone()).await,
            self.stored(&id, "backup_manifest", Part::BaseManifest, base_manifest).await,
        ];
        let mut manifest = self.finish(id, Kind::Base, &contents, objects).await;
        manifest.position =
            Position { timeline: 1, lsn: start.clone(), end_lsn: Some(start), restore_point: Some(point) };
        manifest.parent = parent.map(|parent| parent.id.clone());
        self.keep(&manifest).await;
        self.archive_log().await;
        manifest
    }

    /// Closes the current segment and stores every finished one.
    pub async fn archive_log(&self) {
        self.sql("select pg_switch_wal()").await;
        self.sql("checkpoint").await;
        let current = self.ask("select pg_walfile_name(pg_current_wal_lsn())").await;
        let list = "select string_agg(name, ' ' order by name) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'";
        for name in self.ask(list).await.split(' ').filter(|name| *name < current.as_str()) {
            let path = format!("{}/pg_wal/{name}", hypertide::backup::sandbox::PGDATA);
            let mut reader = self.sandbox.toolbox().reading(&Tool::new("cat").arg(path)).unwrap();
            let bytes = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).map(|_| bytes)
            });
            let bytes = bytes.await.unwrap().unwrap();
            let sum = Sum::of(bytes.as_slice()).unwrap();
            let key = archive::key(&self.scope, LogFile::parse(name).unwrap(), &sum, self.how.suffix());
            let source = Plain(std::io::Cursor::new(bytes));
            pipeline::seal(source, &self.how, &*self.store, &key, |_| ()).await.unwrap();
        }
    }
}

/// The key of an object.
fn key(manifest: &Manifest, name: &str) -> ObjectKey {
    format!("{}/{}/{name}", manifest.scope, manifest.id).parse().unwrap()
}

fn random() -> u16 {
    let mut random = [0; 2];
    getrandom::fill(&mut random).unwrap();
    u16::from_ne_bytes(random)
}
