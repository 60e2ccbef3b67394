//! Throw-away servers: without a network, reached over their socket, gone afterwards.

use hypertide::backup::pipeline::Plain;
use hypertide::backup::sandbox::{DRILL_SETTINGS, Sandbox};
use hypertide::backup::tools::{Tool, feed};
use hypertide::docker::shared_dir::SharedPlace;
use hypertide::error::in_one_line;
use hypertide::model::names::{ClusterName, Ident};

use crate::shared::{primary, shared, site};
use crate::world::docker;

#[tokio::test]
async fn a_sandbox_has_no_network_is_reached_over_its_socket_and_is_gone_afterwards() {
    let world = shared();
    let site = site(world).await;
    let image = site.engine.container_image(&world.container(primary().as_str())).await.unwrap();
    let cluster = ClusterName::new(&world.cluster).unwrap();
    let sandbox = Sandbox::create(&site.engine, &SharedPlace::Host, &image, Some(&cluster)).await.unwrap();
    let inspected = docker().inspect_container(sandbox.id(), None).await.unwrap();
    let networks = inspected.network_settings.unwrap().networks.unwrap();
    assert_eq!(networks.keys().collect::<Vec<_>>(), ["none"]);
    let volume = inspected.mounts.unwrap().into_iter().find_map(|mount| mount.name).unwrap();

    sandbox.init().await.unwrap();
    let server = sandbox.start(&DRILL_SETTINGS.map(str::to_owned)).await.unwrap();
    sandbox.wait_ready(&server).await.unwrap();
    let postgres = Ident::new("postgres").unwrap();
    let session = sandbox.session(&postgres).await.unwrap();
    let row = session.client().query_one("select current_setting('listen_addresses'), inet_server_addr() is null", &[]);
    let row = row.await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, bool>(1)), ("", true));

    // Tools inside, their data through FIFOs.
    let tools = sandbox.toolbox();
    let psql = Tool::new("psql").args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]).connected_to(&postgres);
    let input = tools.writing(&psql).unwrap();
    let sql = "create extension timescaledb; create table t as select generate_series(1, 1000) n;";
    assert!(feed(Plain(std::io::Cursor::new(sql)), input).await.unwrap().is_all);
    let count = session.client().query_one("select count(*) from t", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1000);
    let input = tools.writing(&psql).unwrap();
    let error = feed(Plain(&b"select 1/0;"[..]), input).await.unwrap_err();
    assert!(in_one_line(&error).contains("division by zero"), "{error}");
    // What is cut short is not taken for the whole.
    let input = tools.writing(&psql).unwrap();
    drop(input);
    let interfaces = tools.run(&Tool::new("sh").args(["-c", "tail -n +3 /proc/net/dev"])).await.unwrap();
    assert!(
        interfaces.lines().all(|line| line.trim_start().starts_with("lo:")) && !interfaces.is_empty(),
        "{interfaces}"
    );

    // It can be started again on what it holds.
    sandbox.stop().await.unwrap();
    assert!(sandbox.fail_if_ended(&server).await.is_err());
    let server = sandbox.start(&[]).await.unwrap();
    sandbox.wait_ready(&server).await.unwrap();
    let session = sandbox.session(&postgres).await.unwrap();
    assert_eq!(session.client().query_one("select count(*) from t", &[]).await.unwrap().get::<_, i64>(0), 1000);

    let id = sandbox.id().to_owned();
    sandbox.remove().await.unwrap();
    assert!(docker().inspect_container(&id, None).await.is_err());
    assert!(docker().inspect_volume(&volume).await.is_err(), "its volume goes with it");
}

#[tokio::test]
async fn a_server_that_cannot_begin_is_told_with_its_own_words() {
    let world = shared();
    let site = site(world).await;
    let image = site.engine.container_image(&world.container(primary().as_str())).await.unwrap();
    let cluster = ClusterName::new(&world.cluster).unwrap();
    let sandbox = Sandbox::create(&site.engine, &SharedPlace::Host, &image, Some(&cluster)).await.unwrap();
    sandbox.init().await.unwrap();
    let server = sandbox.start(&["shared_preload_libraries=nonsense".to_owned()]).await.unwrap();
    let error = sandbox.wait_ready(&server).await.unwrap_err();
    assert!(error.to_string().contains("could not access file \"nonsense\""), "{error}");
    sandbox.remove().await.unwrap();
}
