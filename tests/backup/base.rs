//! Base backups, whole and incremental, from the primary and from the standby: PostgreSQL's own tools find them good, and recovered
//! to their mark they hold what was written down at that moment.

use std::sync::Arc;

use hypertide::backup::base::chain::Why;
use hypertide::backup::base::{self, Order, Taken, mark};
use hypertide::backup::contents::{Contents, differences};
use hypertide::backup::manifest::{FORMAT, Manifest, Part, SourceFacts, Totals};
use hypertide::backup::pipeline::{self, Seal};
use hypertide::backup::sandbox::{DRILL_SETTINGS, SCRATCH, Sandbox};
use hypertide::backup::source;
use hypertide::backup::tools::{Tool, Toolbox, feed};
use hypertide::docker::shared_dir::SharedPlace;
use hypertide::docker::spec::PGDATA;
use hypertide::model::backup::{BackupId, Kind, Scope, Sealing};
use hypertide::model::names::{ClusterName, NodeName};
use hypertide::postgres::contents::objects::Depth;
use hypertide::site::Site;
use hypertide::store::Store;
use hypertide::store::disk::Disk;

use crate::shared::{database, primary, shared, site};
use crate::world::World;

struct Place<'a> {
    world: &'a World,
    site: Site,
    scope: Scope,
    store: Arc<dyn Store>,
    _dir: tempfile::TempDir,
}

impl Place<'_> {
    async fn new() -> Self {
        let world = shared();
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Disk::new(dir.path().join("store")));
        let site = site(world).await;
        site.secrets(&[]).await.unwrap();
        Place { world, site, scope: world.cluster.parse().unwrap(), store, _dir: dir }
    }

    /// A base backup from a node; its manifest, and what the database held at its mark.
    async fn take(&self, from: &str, incrementals: u32, earlier: &[Manifest]) -> (Manifest, Contents, Option<Why>) {
        let port = |name: &NodeName| self.world.ports[usize::from(name.as_str() != "primary-1")];
        let target = |name: &NodeName| self.site.target(name, port(name), &database()).unwrap();
        let from = NodeName::new(from).unwrap();
        let tools = Toolbox::for_node(&self.site, &from, port(&from), 17).await.unwrap();
        let began = chrono::Utc::now();
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let id = BackupId::new(began, Kind::Base, u16::from_ne_bytes(random));
        let how = Seal::new(&Sealing::default()).unwrap();
        let order = Order {
            id: &id,
            scope: &self.scope,
            job: Some("nightly"),
            incrementals,
            manifests: earlier,
            source: &target(&from),
            primary: &target(&primary()),
            tools: &tools,
            store: &self.store,
            how: &how,
            keys: None,
        };
        let Taken { objects, position, parent, is_whole_because, reading } = base::take(&order, |_| ()).await.unwrap();
        let reading = reading.unwrap();
        let mut fingerprints = reading.read_changed(|_| ()).await.unwrap();
        reading.read_rest(&mut fingerprints, |_| ()).await.unwrap();
        let contents = mark::contents(&reading, &fingerprints).await.unwrap();
        let facts = reading.facts.clone();
        let source = SourceFacts {
            node: Some(from.to_string()),
            role: "primary".into(),
            system_identifier: facts.system_identifier,
            postgres: facts.postgres,
            postgres_major: facts.postgres_major,
            timescaledb: facts.timescaledb,
            edition: facts.edition,
            preload: facts.preload,
            image: None,
            image_reference: None,
        };
        let manifest = Manifest {
            format: FORMAT,
            id,
            scope: self.scope.clone(),
            kind: Kind::Base,
            job: Some("nightly".into()),
            database: database().to_string(),
            source,
            position,
            began,
            finished: chrono::Utc::now(),
            fingerprint_seconds: 0.0,
            objects,
            totals: Totals::default(),
            parent,
            tools: Vec::new(),
        };
        (manifest, contents, is_whole_because)
    }

    async fn unpack(&self, sandbox: &Sandbox, manifest: &Manifest, part: Part, into: &str) {
        sandbox.exec_ok(&["mkdir", "-p", "-m", "0700", into]).await.unwrap();
        let Some(record) = manifest.object(part) else { return };
        let key = format!("{}/{}/{}", self.scope, manifest.id, record.name).parse().unwrap();
        let stored = pipeline::unseal(self.store.clone(), key, record, None, |_| ()).unwrap();
        let tar = sandbox.toolbox().writing(&Tool::new("tar").args(["-x", "-C", into])).unwrap();
        assert!(feed(stored, tar).await.unwrap().is_all);
    }

    /// Unpacks a chain, lets PostgreSQL look at it, recovers it to the mark of its last one, and tells what is in it.
    async fn recovered(&self, chain: &[&Manifest], wanted: &Contents) -> Contents {
        let image = self.site.engine.container_image(&self.world.container("primary-1")).await.unwrap();
        let cluster = ClusterName::new(&self.world.cluster).unwrap();
        let sandbox = Sandbox::create(&self.site.engine, &SharedPlace::Host, &image, Some(&cluster)).await.unwrap();
        let data = PGDATA.to_owned();
        let log = format!("{SCRATCH}/log");
        let last = chain.last().unwrap();
        if let [only] = chain {
            self.unpack(&sandbox, only, Part::Base, &data).await;
        } else {
            let mut combine = vec!["pg_combinebackup".to_owned(), "--no-sync".into(), "--output".into(), data.clone()];
            for (number, manifest) in chain.iter().enumerate() {
                let into = format!("{SCRATCH}/{number}");
                self.unpack(&sandbox, manifest, Part::Base, &into).await;
                combine.push(into);
            }
            let combine: Vec<&str> = combine.iter().map(String::as_str).collect();
            sandbox.exec_ok(&combine).await.unwrap();
        }
        sandbox.exec_ok(&["pg_verifybackup", "--quiet", &data]).await.unwrap();
        self.unpack(&sandbox, last, Part::BaseLog, &log).await;
        sandbox.exec_ok(&["touch", &format!("{data}/recovery.signal")]).await.unwrap();
        let point = last.position.restore_point.as_ref().unwrap();
        let mut settings: Vec<String> = DRILL_SETTINGS.map(str::to_owned).to_vec();
        settings.extend([
            "hot_standby=off".to_owned(),
            format!("restore_command=cp {log}/%f %p"),
            format!("recovery_target_name={}", point.name),
            "recovery_target_action=promote".to_owned(),
        ]);
        let server = sandbox.start(&settings).await.unwrap();
        sandbox.wait_ready(&server).await.unwrap();
        let session = sandbox.session(&database()).await.unwrap();
        let found = source::found(&session, wanted, Depth::Files).await.unwrap();
        drop(session);
        sandbox.remove().await.unwrap();
        found
    }
}

fn is_equal(wanted: &Contents, found: &Contents) {
    assert!(wanted.tables.len() > 50, "{}", wanted.tables.len());
    assert_eq!(differences(wanted, found), []);
}

#[tokio::test]
async fn a_chain_is_put_together_and_holds_what_was_there_at_its_mark() {
    let place = Place::new().await;
    let (whole, wanted, why) = place.take("primary-1", 1, &[]).await;
    assert_eq!(why, Some(Why::First));
    is_equal(&wanted, &place.recovered(&[&whole], &wanted).await);
    // Something changes, in a database of its own.
    place.world.sql("primary", "create database changed_since");
    let (upon, wanted, why) = place.take("primary-1", 1, std::slice::from_ref(&whole)).await;
    assert_eq!((why, upon.parent.as_ref()), (None, Some(&whole.id)));
    let size = |manifest: &Manifest| manifest.object(Part::Base).unwrap().raw_bytes;
    assert!(size(&upon) < size(&whole), "{} {}", size(&upon), size(&whole));
    is_equal(&wanted, &place.recovered(&[&whole, &upon], &wanted).await);
    let (_, _, why) = place.take("primary-1", 1, &[whole, upon]).await;
    assert_eq!(why, Some(Why::Full { incrementals: 1 }));
}

#[tokio::test]
async fn a_standbys_files_and_the_primarys_log_make_one_backup() {
    let place = Place::new().await;
    let (whole, _, _) = place.take("replica-1", 2, &[]).await;
    // Hardly anything happens in between, which a standby alone would not get past.
    let (upon, wanted, why) = place.take("replica-1", 2, std::slice::from_ref(&whole)).await;
    assert_eq!(why, None);
    is_equal(&wanted, &place.recovered(&[&whole, &upon], &wanted).await);
    let slot = format!("hypertide_{}", upon.id.as_str().to_ascii_lowercase().replace('-', "_"));
    let left = |node: &str| {
        place.world.sql(node, &format!("select count(*) from pg_replication_slots where slot_name = '{slot}'"))
    };
    place.world.eventually("nothing keeps the log afterwards", || left("primary") == "0" && left("replica-1") == "0");
}

#[test]
fn the_program_takes_one_from_the_standby_and_lists_it() {
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let store = format!("file://{}", dir.path().join("store").display());
    let take = |more: &[&str]| {
        let args = [&["backup", "run", "--kind", "base", "--store", &store], more].concat();
        world.json(&args)
    };
    let whole = take(&[]);
    assert_eq!((&whole["kind"], &whole["source"]["role"]), (&"base".into(), &"standby".into()), "{whole}");
    assert!(whole["position"]["restore_point"]["name"].is_string(), "{whole}");
    assert_eq!(whole["totals"]["chunks"], 50, "{whole}");
    let upon = take(&["--incremental"]);
    assert_eq!(upon["parent"], whole["id"], "{upon}");
    let parts: Vec<&str> = upon["objects"].as_array().unwrap().iter().filter_map(|it| it["part"].as_str()).collect();
    assert_eq!(parts, ["base", "base_manifest", "base_log", "contents"]);
    let listed = world.ok(&["backup", "list", "--store", &store]).stdout;
    assert!(
        listed.contains(whole["id"].as_str().unwrap()) && listed.contains(upon["id"].as_str().unwrap()),
        "{listed}"
    );
}
