//! Restores: into a database beside others, into a node of its own, into a new cluster; to the backup's own moment and to others.

use std::collections::HashMap;
use std::net::TcpListener;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use hypertide::backup::contents::Difference;
use hypertide::backup::manifest::{Manifest, Part};
use hypertide::backup::restore::database::{enable, into_database};
use hypertide::backup::restore::origin::Origin;
use hypertide::backup::restore::phases::Phases;
use hypertide::backup::restore::server::{Filled, Order, fill};
use hypertide::backup::restore::start::Server;
use hypertide::docker::shared_dir::SharedPlace;
use hypertide::model::names::{ClusterName, Ident, NodeName};
use hypertide::plan::provision::SUPERUSER;
use hypertide::plan::restore::Target;
use hypertide::postgres::session::{Session, Target as Address};
use hypertide::secrets::Secrets;

use crate::made::{Made, database};

/// Jobs as the database has them: `id scheduled`, of users' own.
const JOBS: &str = "select coalesce(string_agg(id || ' ' || scheduled, ', ' order by id), '')
                    from _timescaledb_config.bgw_job where id >= 1000";

const ORDERS: &str = "select count(*)::text from shop.orders";

fn origin(made: &Made, manifest: &Manifest) -> Origin {
    Origin { store: made.store.clone(), manifest: manifest.clone(), keys: made.keys.clone() }
}

/// Names and a port of a test's own, removed at the end.
struct Own {
    cluster: ClusterName,
    node: NodeName,
    port: u16,
    secrets: Secrets,
}

impl Own {
    fn new() -> Self {
        let mut random = [0; 4];
        getrandom::fill(&mut random).unwrap();
        Self {
            cluster: ClusterName::new(&format!("t{:08x}", u32::from_ne_bytes(random))).unwrap(),
            node: NodeName::new("old").unwrap(),
            port: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
            secrets: Secrets::generate().unwrap(),
        }
    }

    fn server<'a>(&'a self, made: &'a Made, manifest: &'a Manifest, is_primary: bool, random: u32) -> Server<'a> {
        Server {
            engine: &made.engine,
            cluster: &self.cluster,
            node: &self.node,
            is_primary,
            backup: &manifest.id,
            image: &made.image,
            bind: "127.0.0.1".parse().unwrap(),
            port: self.port,
            settings: vec!["shared_preload_libraries=timescaledb".into(), "max_connections=77".into()],
            enable_jobs: false,
            random,
        }
    }

    async fn filled(&self, made: &Made, server: &Server<'_>, manifest: &Manifest, target: &Target) -> Filled {
        server.prepare().await.unwrap();
        let (verifiers, volume) = (self.secrets.verifiers(), server.volume());
        let order = Order {
            engine: &made.engine,
            shared: &SharedPlace::Host,
            cluster: &self.cluster,
            node: &self.node,
            image: &made.image,
            volume: &volume,
            verifiers: &verifiers,
            target,
            timeline: 1,
            enable_jobs: false,
        };
        let filled = fill(&order, &origin(made, manifest), Vec::new(), &mut Phases::new(&|_| ())).await.unwrap();
        assert_eq!(filled.differences, Vec::<Difference>::new());
        filled
    }

    async fn ask(&self, sql: &str) -> String {
        let target = Address {
            node: self.node.clone(),
            host: "127.0.0.1".into(),
            port: self.port,
            database: database(),
            user: SUPERUSER,
            password: self.secrets.superuser().clone(),
        };
        Session::connect(&target).await.unwrap().client().query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn remove(self, made: &Made) {
        let label = format!("hypertide.cluster={}", self.cluster);
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let client = made.engine.client();
        let list = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        for container in client.list_containers(Some(list)).await.unwrap() {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            client.remove_container(&container.id.unwrap(), Some(options)).await.unwrap();
        }
        let list = ListVolumesOptionsBuilder::default().filters(&filters).build();
        for volume in client.list_volumes(Some(list)).await.unwrap().volumes.unwrap_or_default() {
            client.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await.unwrap();
        }
        made.engine.remove_network(&self.cluster.network()).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_gets_its_name_when_it_is_complete_and_equal_and_its_jobs_stay_off() {
    let made = Made::new().await;
    let full = made.full(true).await;
    let copy = Ident::new("it's a \"copy\"").unwrap();
    let told = |_: &str| ();
    let mut phases = Phases::new(&told);
    let done = into_database(&origin(&made, &full), &made.place, &copy, false, 1, &mut phases).await.unwrap();
    assert_eq!((done.differences.len(), done.rows), (0, 10 + 960 + 100));
    // Retention comes last, and neither is on.
    assert_eq!(done.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [1001, 1000]);
    let session = made.place.session(&copy).await.unwrap();
    let ask = async |sql: &'static str| session.client().query_one(sql, &[]).await.unwrap().get::<_, String>(0);
    assert_eq!(ask(JOBS).await, "1000 false, 1001 false");
    assert_eq!(ask(ORDERS).await, "960");
    assert_eq!(made.ask(JOBS).await, "1000 true, 1001 true", "those of the source are as they were");
    enable(&made.place, &copy, &done.jobs).await.unwrap();
    assert_eq!(ask(JOBS).await, "1000 true, 1001 true");
    drop(session);

    // What has the name keeps it while a restore fails, and loses it to one that is equal.
    let session = made.place.session(&copy).await.unwrap();
    session.run("mark it", "create table public.mark ()").await.unwrap();
    let has_mark = "select to_regclass('public.mark') is not null";
    let record = full.object(Part::Rows).unwrap();
    let path = made.file(&full, &record.name);
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    into_database(&origin(&made, &full), &made.place, &copy, true, 2, &mut phases).await.unwrap_err();
    assert!(session.client().query_one(has_mark, &[]).await.unwrap().get::<_, bool>(0));
    std::fs::write(&path, good).unwrap();
    into_database(&origin(&made, &full), &made.place, &copy, true, 3, &mut phases).await.unwrap();
    let session = made.place.session(&copy).await.unwrap();
    assert!(!session.client().query_one(has_mark, &[]).await.unwrap().get::<_, bool>(0));
    let left = "select count(*) from pg_database where datname like 'hypertide%'";
    assert_eq!(session.client().query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    made.sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_dump_becomes_a_node_of_its_own_and_another_one_takes_its_place() {
    let made = Made::new().await;
    let own = Own::new();
    let full = made.full(false).await;
    let server = own.server(&made, &full, false, 1);
    let filled = own.filled(&made, &server, &full, &Target::Backup).await;
    assert_eq!(filled.rows, 10 + 960 + 100);
    server.start(&own.secrets).await.unwrap();
    assert_eq!(own.ask(ORDERS).await, "960");
    assert_eq!(own.ask(JOBS).await, "1000 false, 1001 false");
    assert_eq!(own.ask("select current_setting('timescaledb.max_background_workers')").await, "0");
    assert_eq!(own.ask("select current_setting('max_connections')").await, "77");
    assert_eq!(own.ask("select current_setting('fsync')").await, "on");
    // Nothing of the cluster takes it for one of its nodes.
    let look = made.engine.look(&own.cluster).await.unwrap();
    assert!(look.volumes.values().all(|volume| volume.node.is_none()));
    assert!(look.containers[&own.cluster.container(&own.node)].kind.as_deref() == Some("restored"));

    made.sql("delete from shop.orders where at < '2026-01-02'").await;
    let later = made.full(false).await;
    let next = own.server(&made, &later, false, 2);
    own.filled(&made, &next, &later, &Target::Backup).await;
    assert_eq!(own.ask(ORDERS).await, "960", "the old one serves until the new one is complete");
    next.start(&own.secrets).await.unwrap();
    assert_eq!(own.ask(ORDERS).await, "912");
    own.remove(&made).await;
    made.sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_base_backup_becomes_a_cluster_at_its_own_moment_or_at_a_named_one() {
    let made = Made::new().await;
    made.sql("alter system set primary_conninfo = 'host=elsewhere'").await;
    made.sql("create publication p for table shop.customers").await;
    made.sql("create subscription s connection 'host=127.0.0.1 port=1' publication p with (connect = false)").await;
    let base = made.base(None).await;
    made.sql("insert into shop.orders (at, customer, symbol, quantity) values ('2026-02-01', 1, 'x', 1)").await;
    made.sql("select pg_create_restore_point('before the mistake')").await;
    made.sql("delete from shop.orders").await;
    made.archive_log().await;

    for (target, orders) in
        [(Target::Backup, "960"), (Target::Name("before the mistake".into()), "961"), (Target::Latest, "0")]
    {
        let own = Own::new();
        let server = own.server(&made, &base, true, 1);
        let filled = own.filled(&made, &server, &base, &target).await;
        assert_eq!((filled.rows, filled.notes.len()), (10 + 960 + 100, 0), "compared before the log is followed");
        assert_eq!(filled.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [1001, 1000]);
        server.start(&own.secrets).await.unwrap();
        assert_eq!(own.ask(ORDERS).await, orders, "{target}");
        assert_eq!(own.ask(JOBS).await, "1000 false, 1001 false");
        assert_eq!(own.ask("select pg_is_in_recovery()::text").await, "false");
        // It follows nobody and takes nobody's slot.
        assert_eq!(own.ask("select current_setting('primary_conninfo')").await, "");
        let subscription = "select concat_ws(' ', subenabled, coalesce(subslotname, 'none')) from pg_subscription";
        assert_eq!(own.ask(subscription).await, "f none");
        own.remove(&made).await;
    }
    let own = Own::new();
    let server = own.server(&made, &base, true, 1);
    server.prepare().await.unwrap();
    let verifiers = own.secrets.verifiers();
    let order = Order {
        engine: &made.engine,
        shared: &SharedPlace::Host,
        cluster: &own.cluster,
        node: &own.node,
        image: &made.image,
        volume: &server.volume(),
        verifiers: &verifiers,
        target: &Target::Name("never".into()),
        timeline: 1,
        enable_jobs: false,
    };
    let failed = fill(&order, &origin(&made, &base), Vec::new(), &mut Phases::new(&|_| ())).await.unwrap_err();
    let told = failed.to_string();
    assert!(told.contains("the restore point `never`") && told.contains("recovery ended before"), "{told}");
    server.give_up().await.unwrap();
    made.sandbox.remove().await.unwrap();
}
