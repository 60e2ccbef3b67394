//! Endpoints: who gets in and where to, that they come back, and that clients wait instead of failing.

use std::time::{Duration, Instant};

use bollard::query_parameters::KillContainerOptionsBuilder;
use hypertide::model::endpoint::Access;
use hypertide::model::tls_mode::TlsMode;
use hypertide::postgres::password::Password;
use hypertide::postgres::pooler::{Pooler, PoolerError, PoolerTarget};
use hypertide::postgres::tls::Tls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_postgres::{Client, Error, NoTls};

use crate::http::metrics;
use crate::world::{World, connect, docker, freeze, thaw};

/// How long clients are held in these tests.
const HELD: Duration = Duration::from_millis(700);
/// Clients in a crowd, and how often it is held.
const CROWD: usize = 30;
const HOLDS: usize = 20;
/// How often one of them writes before it comes anew.
const EACH: usize = 20;
/// No client lets go of a connection later than that.
const PATIENCE: Duration = Duration::from_secs(5);

async fn log_in(port: u16, role: &str, password: &str) -> Result<Client, Error> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(role).password(password).dbname("trading_data");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn text(client: &Client, sql: &str) -> Result<String, Error> {
    Ok(client.query_one(sql, &[]).await?.get(0))
}

fn console(world: &World, port: u16) -> PoolerTarget {
    let pgpass = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    let password = pgpass.lines().find_map(|line| line.strip_prefix("*:*:*:hypertide_pooler:")).unwrap();
    let endpoint = world.container(Access::ReadWrite.name());
    PoolerTarget { endpoint, host: "127.0.0.1".into(), port, password: Password::new(password), is_encrypted: false }
}

/// The address of a node on the cluster's network.
async fn address(world: &World, node: &str) -> String {
    let seen = docker().inspect_container(&world.container(node), None).await.unwrap();
    let networks = seen.network_settings.unwrap().networks.unwrap();
    networks.into_values().next().unwrap().ip_address.unwrap()
}

/// A client that stays connected, and one that connects anew for each statement; both write while clients are held.
async fn is_held_and_served(world: &World, port: u16) {
    let staying = log_in(port, "clerk", "clerk's own").await.unwrap();
    let insert = staying.prepare("insert into desk.slips (note) values ($1)").await.unwrap();
    staying.execute(&insert, &[&"before"]).await.unwrap();
    let target = console(world, port);
    let began = Instant::now();
    Pooler::pause(&target, PATIENCE).await.unwrap();
    let paused = began.elapsed();
    Pooler::pause(&target, PATIENCE).await.expect("holding those who are held changes nothing");
    let pooler = Pooler::connect(&target).await.unwrap();
    assert!(pooler.look().await.unwrap().is_paused);
    let anew = async {
        let client = log_in(port, "clerk", "clerk's own").await?;
        client.execute("insert into desk.slips (note) values ('anew')", &[]).await?;
        Ok::<_, Error>(Instant::now())
    };
    let stays = async {
        staying.execute(&insert, &[&"staying"]).await?;
        Ok::<_, Error>(Instant::now())
    };
    let control = async {
        tokio::time::sleep(HELD).await;
        let began = Instant::now();
        pooler.reload().await.unwrap();
        let reloaded = began.elapsed();
        let resumed_at = Instant::now();
        pooler.resume().await.unwrap();
        let resumed = resumed_at.elapsed();
        pooler.resume().await.expect("nobody is held any more");
        eprintln!("pause {paused:?}, reload {reloaded:?}, resume {resumed:?}");
        resumed_at
    };
    let (anew, stays, resumed_at) = tokio::join!(anew, stays, control);
    assert!(anew.expect("a new client waits") >= resumed_at, "it was held");
    assert!(stays.expect("an old client waits") >= resumed_at, "it was held");
    assert!(!pooler.look().await.unwrap().is_paused);
}

/// However many come and go meanwhile, and whatever connections are being made for them.
async fn a_crowd_is_held_without_an_error(world: &World, port: u16) {
    let is_over = std::cell::Cell::new(false);
    let client = async || {
        let mut written = 0_usize;
        while !is_over.get() {
            let client = log_in(port, "clerk", "clerk's own").await?;
            for _ in 0..EACH {
                client.execute("insert into desk.slips (note) values ('crowd')", &[]).await?;
                written += 1;
            }
        }
        Ok::<_, Error>(written)
    };
    let target = console(world, port);
    let control = async {
        for _ in 0..HOLDS {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Pooler::pause(&target, PATIENCE).await.expect("nobody keeps a connection for long");
            let pooler = Pooler::connect(&target).await.unwrap();
            pooler.reload().await.unwrap();
            pooler.resume().await.unwrap();
        }
        is_over.set(true);
    };
    let (served, ()) = tokio::join!(futures_util::future::join_all((0..CROWD).map(|_| client())), control);
    let written: Vec<usize> = served.into_iter().map(|served| served.expect("everybody is served")).collect();
    assert!(written.iter().all(|written| *written >= EACH), "{written:?}");
    // It tells what hypertide cannot see in an answer: that a connection to the server failed.
    let log = world.ok(&["logs", Access::ReadWrite.name()]).stdout;
    assert!(!log.contains("server login has been failing"), "{log}");
}

/// Who cannot let go is told, and the others wait all the same.
async fn a_transaction_keeps_from_pausing(world: &World, port: u16) {
    let mut client = log_in(port, "clerk", "clerk's own").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.execute("insert into desk.slips (note) values ('long')", &[]).await.unwrap();
    let target = console(world, port);
    let short = Duration::from_millis(100);
    for _ in 0..2 {
        let busy = Pooler::pause(&target, short).await.expect_err("a transaction is under way");
        assert!(matches!(busy, PoolerError::Busy { .. }), "{busy}");
    }
    transaction.commit().await.unwrap();
    Pooler::pause(&target, PATIENCE).await.expect("nobody is left");
    Pooler::connect(&target).await.unwrap().resume().await.unwrap();
}

#[tokio::test]
async fn clients_are_let_in_led_held_and_served() {
    let world = World::new("");
    let (write, read) = (world.ports[2], world.ports[3]);
    let with = |more: &str| {
        world.configure(&format!("packs: []\nendpoint: {{read_write: {write}, read_only: {read}{more}}}\n"));
    };
    with("");
    world.ok(&["up"]);
    world.is_converged();
    let status = world.status();
    assert_eq!(status["endpoint"]["read_write"], format!("127.0.0.1:{write}"));
    assert_eq!(status["endpoint"]["read_only"], format!("127.0.0.1:{read}"));

    // A role of plain SQL, of which hypertide knows nothing.
    world.sql("primary", "create role clerk login password 'clerk''s own'");
    world.sql(
        "primary",
        "create schema desk;
         create table desk.slips (id bigint generated always as identity primary key, note text);
         grant usage on schema desk to clerk; grant insert, select on desk.slips to clerk",
    );
    let clerk = log_in(write, "clerk", "clerk's own").await.unwrap();
    assert_eq!(text(&clerk, "select host(inet_server_addr())").await.unwrap(), address(&world, "primary-1").await);
    for (role, password) in [("clerk", "wrong"), ("nobody", "clerk's own"), ("postgres", &superuser(&world))] {
        log_in(write, role, password).await.expect_err("not let in");
    }
    // The console is the pooler's, and what that may ask is nobody else's to ask.
    for (role, port) in [("app", write), ("reader", read)] {
        let client = connect(&world, port, role).await.unwrap();
        let denied = client.query("select * from hypertide.login_verifier('app')", &[]).await.expect_err("not theirs");
        assert_eq!(denied.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
    }
    let reader = connect(&world, read, "reader").await.unwrap();
    assert_eq!(text(&reader, "select host(inet_server_addr())").await.unwrap(), address(&world, "replica-1").await);

    let secrets = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    for access in Access::ALL {
        let container = world.container(access.name());
        let inspected = serde_json::to_string(&docker().inspect_container(&container, None).await.unwrap()).unwrap();
        let top = serde_json::to_string(&docker().top_processes(&container, None).await.unwrap()).unwrap();
        let logs = world.ok(&["logs", access.name()]).stdout;
        for password in secrets.lines().filter_map(|line| line.rsplit(':').next()) {
            assert!(!inspected.contains(password) && !top.contains(password) && !logs.contains(password));
        }
    }

    a_first_table_needs_no_up(&world);

    is_held_and_served(&world, write).await;
    a_crowd_is_held_without_an_error(&world, write).await;
    a_transaction_keeps_from_pausing(&world, write).await;

    // The agent starts what was killed, and leads reads to the primary while nobody else is there.
    let killed = KillContainerOptionsBuilder::default().signal("KILL").build();
    docker().kill_container(&world.container("endpoint-rw"), Some(killed)).await.unwrap();
    eventually_in(&world, write, "primary-1").await;
    freeze(&world.container("replica-1")).await;
    eventually_in(&world, read, "primary-1").await;
    thaw(&world.container("replica-1")).await;
    eventually_in(&world, read, "replica-1").await;

    with(", pooling: session");
    let plan = world.json(&["up", "--plan"]);
    let labels: Vec<&str> = plan["steps"].as_array().unwrap().iter().filter_map(|step| step["step"].as_str()).collect();
    assert!(["remove_endpoint", "create_endpoint", "start_endpoint"].iter().all(|it| labels.contains(it)), "{plan}");
    world.ok(&["up"]);
    session_pooling_holds_newcomers(&world, write).await;
    with(", tls: {certificate: shown.crt, key: shown.key}");
    clients_are_encrypted(&world, write).await;

    world.configure("packs: []\nendpoint: direct\n");
    world.ok(&["up"]);
    world.is_converged();
    assert!(!world.leftovers().await.is_empty());
    for access in Access::ALL {
        docker().inspect_container(&world.container(access.name()), None).await.expect_err("it is gone");
    }
    assert_eq!(world.status()["endpoint"]["read_write"], format!("127.0.0.1:{}", world.ports[0]));
}

/// Where no pack publishes anything, what is made by hand in `public` is replicated by the agent alone.
fn a_first_table_needs_no_up(world: &World) {
    for node in ["primary-1", "replica-1"] {
        world.sql(node, "set transaction read write; create table notes (id bigint primary key)");
    }
    world.sql("primary", "insert into notes select generate_series(1, 100)");
    world.eventually("the cluster is healthy", || world.status()["health"] == "healthy");
    world.eventually_equal("notes", "primary-1", "replica-1");
}

fn superuser(world: &World) -> String {
    let pgpass = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    pgpass.lines().find_map(|line| line.strip_prefix("*:*:*:postgres:")).unwrap().to_owned()
}

/// Clients that connect anew for each statement wait as well where a session keeps its connection.
async fn session_pooling_holds_newcomers(world: &World, port: u16) {
    let target = console(world, port);
    Pooler::pause(&target, PATIENCE).await.unwrap();
    let pooler = Pooler::connect(&target).await.unwrap();
    let newcomers = async {
        for _ in 0..5 {
            let client = log_in(port, "clerk", "clerk's own").await?;
            client.execute("insert into desk.slips (note) values ('newcomer')", &[]).await?;
        }
        Ok::<_, Error>(())
    };
    let control = async {
        tokio::time::sleep(HELD).await;
        pooler.resume().await.unwrap();
    };
    let (served, ()) = tokio::join!(newcomers, control);
    served.expect("they waited");
}

/// A certificate for this host that an authority of its own has signed, as files: its own, its key's and the authority's.
fn certificate(world: &World) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let shown = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    for (name, text) in [("shown.crt", shown.pem()), ("shown.key", key.serialize_pem()), ("roots.pem", authority.pem())]
    {
        std::fs::write(world.dir.path().join(name), text).unwrap();
    }
}

/// Logs in as somebody who wants to know whom he talks to.
async fn log_in_by_tls(port: u16, tls: &Tls) -> Result<Client, Error> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("clerk").password("clerk's own").dbname("trading_data");
    let (client, connection) = config.ssl_mode(tls.ssl_mode()).connect(tls.connector()).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// With a certificate nobody is let in without encryption, another one is shown after `up`, and one that is not there takes nothing
/// from those who are served.
async fn clients_are_encrypted(world: &World, port: u16) {
    let trust = || Tls::new(TlsMode::VerifyFull, Some(&world.dir.path().join("roots.pem"))).unwrap();
    let none = world.run(&["up"]);
    assert!(none.code == 2 && none.stderr.contains("shown.crt"), "{} {}", none.code, none.stderr);
    certificate(world);
    let key = world.dir.path().join("shown.key");
    let fitting = std::fs::read(&key).unwrap();
    std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let strange = world.run(&["up"]);
    assert!(strange.code == 0 && strange.stdout.contains("shown.key"), "{} {}", strange.code, strange.stdout);
    log_in(port, "clerk", "clerk's own").await.expect("served as before");

    std::fs::write(&key, fitting).unwrap();
    let first = trust();
    world.ok(&["up"]);
    world.is_converged();
    log_in(port, "clerk", "clerk's own").await.expect_err("not encrypted");
    let client = log_in_by_tls(port, &first).await.unwrap();
    client.execute("insert into desk.slips (note) values ('encrypted')", &[]).await.unwrap();
    let target = PoolerTarget { is_encrypted: true, ..console(world, port) };
    Pooler::pause(&target, PATIENCE).await.unwrap();
    Pooler::connect(&target).await.unwrap().resume().await.unwrap();
    world.eventually("the agent's console is encrypted too", || {
        metrics(world).contains("hypertide_endpoint_up{endpoint=\"endpoint-rw\"} 1\n")
    });
    world.eventually("nothing is held", || world.status()["health"] == "healthy");

    certificate(world);
    world.ok(&["up"]);
    world.is_converged();
    log_in_by_tls(port, &first).await.expect_err("another authority");
    log_in_by_tls(port, &trust()).await.unwrap();
}

/// Waits until who connects there is led to this node.
async fn eventually_in(world: &World, port: u16, node: &str) {
    let wanted = address(world, node).await;
    let began = Instant::now();
    loop {
        let found = async { text(&connect(world, port, "reader").await?, "select host(inet_server_addr())").await };
        let found = tokio::time::timeout(Duration::from_secs(3), found).await;
        if matches!(&found, Ok(Ok(found)) if *found == wanted) {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{port} does not lead to {node}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
