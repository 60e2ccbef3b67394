//! A planned change of the primary, back and forth under a writer, refused where it must be, and cut off at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::world::{World, docker, kills};

/// A switchover first looks, then acts; so long each takes here.
const LOOK: Duration = Duration::from_millis(60);
const ACT: Duration = Duration::from_millis(480);

/// Clients of a pool come and go.
const WRITES_PER_CONNECTION: usize = 50;

#[tokio::test]
async fn a_standby_takes_the_place_and_gives_it_back_and_nothing_is_lost() {
    let world = World::new("");
    let ports = format!("{{read_write: {}, read_only: {}}}", world.ports[2], world.ports[3]);
    world.configure(&format!("replication: {{mode: physical}}\nendpoint: {ports}\n"));
    world.ok(&["up"]);
    world.sql("primary", "create table acked (id bigint primary key); grant all on acked to app");
    what_must_not_be_is_refused(&world);

    let writer = Writer::start(&world);
    let client = Writer::through(&world, world.ports[2]);
    for (from, to, epoch) in
        [("primary-1", "replica-1", 2), ("replica-1", "primary-1", 3), ("primary-1", "replica-1", 4)]
    {
        let report = world.json(&["switchover"]);
        assert_eq!(
            (&report["from"], &report["to"], &report["epoch"]),
            (&from.into(), &to.into(), &epoch.into()),
            "{report}"
        );
        has_taken_over(&world, from, to, epoch);
    }
    what_was_done_is_on_record(&world);
    let (acked, _) = writer.stop();
    assert!(acked.len() > 100, "{} writes", acked.len());
    all_are_there(&world, &acked);
    let (acked, errors) = client.stop();
    assert_eq!(errors, Vec::<String>::new(), "clients of the endpoint wait, and see no error");
    assert!(acked.len() > 100, "{} writes", acked.len());
    all_are_there(&world, &acked);

    // The nodes keep their roles, whatever the configuration calls them.
    world.ok(&["down"]);
    world.ok(&["up"]);
    has_taken_over(&world, "primary-1", "replica-1", 4);
    a_lost_container_of_the_new_primary_is_made_again(&world).await;
    a_switchover_that_is_killed_goes_on_or_back(&world, "standby");
}

fn what_must_not_be_is_refused(world: &World) {
    let plan = world.json(&["switchover", "--plan"]);
    assert_eq!((&plan["to"], &plan["epoch"]), (&"replica-1".into(), &2.into()), "{plan}");
    for (to, code, word) in [("primary-1", 3, "is the primary"), ("nobody", 2, "there is no node")] {
        let refused = world.run(&["switchover", "--to", to]);
        assert_eq!(refused.code, code, "{}", refused.stderr);
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    assert_eq!(world.status()["primary"], "primary-1");
}

fn has_taken_over(world: &World, from: &str, to: &str, epoch: u64) {
    world.eventually("the old primary is a standby of the new one", || world.status()["health"] == "healthy");
    let status = world.status();
    assert_eq!((&status["primary"], &status["epoch"]), (&to.into(), &epoch.into()), "{status}");
    assert_eq!((role(&status, to), role(&status, from)), ("primary", "standby"), "{status}");
    assert_eq!(world.sql(to, "show default_transaction_read_only"), "off");
    assert_eq!(world.sql(from, "select pg_is_in_recovery(), sender_host like '%' from pg_stat_wal_receiver"), "t|t");
    let refused = world.run(&["psql", from, "--", "-c", "insert into acked values (-1)"]);
    assert_ne!(refused.code, 0, "{from} takes writes");
    world.is_converged();
}

fn what_was_done_is_on_record(world: &World) {
    let promotions = world.status()["promotions"].clone();
    let told = |key: &str| promotions.as_array().unwrap().iter().map(|past| past[key].clone()).collect::<Vec<_>>();
    assert_eq!(told("epoch"), [4, 3, 2], "{promotions}");
    assert_eq!(told("to"), ["replica-1", "primary-1", "replica-1"], "{promotions}");
    for (key, word) in [("kind", "switchover"), ("by", "operator"), ("why", "asked for"), ("loss", "nothing")] {
        assert_eq!(told(key), [word; 3], "{promotions}");
    }
    assert!(told("write_pause_seconds").iter().all(|pause| pause.as_f64().unwrap() > 0.0), "{promotions}");
    assert!(told("phases").iter().all(|phases| phases[0][0] == "checkpoint"), "{promotions}");
    let text = world.ok(&["status"]).stdout;
    assert!(text.contains("replica-1 took the place of primary-1 at 20"), "{text}");
    // Standbys have it as well.
    assert_eq!(world.sql("primary-1", "select count(*) from hypertide.promotion"), "3");
}

pub fn role<'a>(status: &'a Value, node: &str) -> &'a str {
    let nodes = status["nodes"].as_array().unwrap();
    nodes.iter().find(|one| one["name"] == node).unwrap()["role"].as_str().unwrap()
}

pub fn all_are_there(world: &World, acked: &[i64]) {
    let there = world.sql("primary", "select coalesce(string_agg(id::text, ',' order by id), '') from acked");
    let there: std::collections::BTreeSet<i64> = there.split(',').filter_map(|id| id.parse().ok()).collect();
    let lost: Vec<_> = acked.iter().filter(|id| !there.contains(id)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged writes are lost: {lost:?}", lost.len(), acked.len());
}

async fn a_lost_container_of_the_new_primary_is_made_again(world: &World) {
    let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
    docker().remove_container(&world.container("replica-1"), Some(options)).await.unwrap();
    world.ok(&["up"]);
    has_taken_over(world, "primary-1", "replica-1", 4);
}

/// Wherever it is cut off, one node takes writes in the end, the other follows it in this role, and no acknowledged write is lost.
pub fn a_switchover_that_is_killed_goes_on_or_back(world: &World, follower: &str) {
    let (writer, client) = (Writer::start(world), Writer::through(world, world.ports[2]));
    let mut moved = 0;
    let kills = kills(8);
    for round in 0..kills {
        let before = world.status()["primary"].clone();
        let mut verb = world.command(&["switchover"]).spawn().unwrap();
        std::thread::sleep(LOOK + ACT * round / kills);
        verb.kill().unwrap();
        verb.wait().unwrap();
        world.eventually("it goes on or back by itself", || world.status()["health"] == "healthy");
        let status = world.status();
        moved += u32::from(status["primary"] != before);
        let mut roles = [role(&status, "primary-1"), role(&status, "replica-1")];
        roles.sort_unstable();
        assert_eq!(roles, ["primary", follower], "{status}");
    }
    eprintln!("{moved} of {kills} switchovers that were killed had come to the promotion");
    for writer in [writer, client] {
        let (acked, _) = writer.stop();
        all_are_there(world, &acked);
    }
    // Nobody is left waiting.
    let client = Writer::through(world, world.ports[2]);
    std::thread::sleep(Duration::from_millis(500));
    let (acked, errors) = client.stop();
    assert!(acked.len() > 10 && errors.is_empty(), "{acked:?} {errors:?}");
    nothing_is_left_to_do(world);
}

/// The agent may be at it.
pub fn nothing_is_left_to_do(world: &World) {
    world.eventually("nothing is left to do", || world.json(&["up", "--plan"])["steps"].as_array().unwrap().is_empty());
    world.is_converged();
}

/// Inserts one id after the other, wherever writes are taken, and counts what was acknowledged.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(Vec<i64>, Vec<String>)>,
}

impl Writer {
    /// To whichever node takes writes.
    pub fn start(world: &World) -> Self {
        let mut config = Self::login(world);
        for port in &world.ports[..2] {
            config.host("127.0.0.1").port(*port);
        }
        config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        Self::run(config)
    }

    /// Through an endpoint.
    pub fn through(world: &World, port: u16) -> Self {
        let mut config = Self::login(world);
        config.host("127.0.0.1").port(port);
        Self::run(config)
    }

    fn login(world: &World) -> tokio_postgres::Config {
        let pgpass = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
        let password = pgpass.lines().find_map(|line| line.strip_prefix("*:*:*:app:")).unwrap();
        let mut config = tokio_postgres::Config::new();
        config.user("app").password(password).dbname("trading_data").connect_timeout(Duration::from_secs(5));
        config
    }

    fn run(config: tokio_postgres::Config) -> Self {
        static NEXT: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let writing = async move {
            let (mut acked, mut errors) = (Vec::new(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let (client, connection) = match config.connect(tokio_postgres::NoTls).await {
                    Ok(connected) => connected,
                    Err(error) => {
                        errors.push(format!("{error:?}"));
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                };
                let connection = tokio::spawn(connection);
                let reconnects_at = acked.len() + WRITES_PER_CONNECTION;
                while acked.len() < reconnects_at && !stopped.load(Ordering::Relaxed) {
                    let id = NEXT.fetch_add(1, Ordering::Relaxed);
                    match client.execute("insert into acked values ($1)", &[&id]).await {
                        Ok(_) => acked.push(id),
                        Err(error) => {
                            // An error that is nobody's answer is known to the connection only, which ends with its client.
                            drop(client);
                            errors.push(format!("{error:?}; {:?}", connection.await));
                            break;
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            (acked, errors)
        };
        // The test's own thread waits for the program most of the time.
        let thread = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(writing)
        });
        Self { stop, thread }
    }

    /// The ids that were acknowledged, and what went wrong.
    pub fn stop(self) -> (Vec<i64>, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
