//! The agent in its container with a job whose store is a bucket: what it makes and proves is what the host lists, checks and drills;
//! it tells nobody how; and when it is killed the record says so.

use std::net::IpAddr;

use age::secrecy::ExposeSecret;
use bollard::query_parameters::{InspectNetworkOptions, KillContainerOptionsBuilder};
use serde_json::Value;

use crate::server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::world::{Run, World, docker, write};

/// The program with the credentials of the bucket.
fn with_keys(world: &World, args: &[&str]) -> Run {
    let mut command = world.command(args);
    command.envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]);
    let run = Run::of(&command.env_remove("AWS_PROFILE").output().unwrap());
    assert_eq!(run.code, 0, "{args:?}\n{}{}", run.stdout, run.stderr);
    run
}

fn job(world: &World) -> Value {
    world.status()["backups"]["jobs"][0].clone()
}

/// The address that this host has in the cluster's network.
async fn gateway(world: &World) -> IpAddr {
    let network =
        docker().inspect_network(&format!("{}-net", world.cluster), None::<InspectNetworkOptions>).await.unwrap();
    let ipam = network.ipam.unwrap().config.unwrap_or_default();
    ipam.into_iter().find_map(|one| one.gateway).expect("a bridge has one").parse().unwrap()
}

#[test]
fn the_agent_keeps_encrypted_proven_backups_in_a_bucket_and_its_death_is_no_lie() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new("");
    let nodes = format!("packs: []\nnodes: {{primary: {{port: {}}}, replicas: []}}\n", world.ports[0]);
    world.configure(&nodes);
    world.ok(&["up", "--no-agent"]);
    world.sql(
        "primary",
        "create table public.readings (at timestamptz primary key, value float);
         select create_hypertable('readings', by_range('at'));
         insert into readings select timestamptz '2024-01-01 00:00+00' + n * interval '1 day', n from generate_series(1, 60) n;
         create table public.long (line text); alter table public.long alter column line set storage external;
         with block as (select string_agg(md5(m::text), '') as line from generate_series(1, 131072) m)
         insert into public.long select line from block, generate_series(1, 10)",
    );
    let server = Server::listening_on(runtime.block_on(gateway(&world)));
    let identity = age::x25519::Identity::generate();
    let secret = identity.to_string().expose_secret().to_owned();
    write(&world, "keys/backup.txt", &format!("{secret}\n"));
    world.configure(&format!(
        "{nodes}backups:\n  - name: often\n    schedule: '*/10 * * * * *'\n    retries: 0\n    drill: always\n    store: {{url: \
         's3://{BUCKET}/some/prefix', endpoint: '{}', region: us-east-1, path_style: true}}\n    encrypt: [{}]\n    identity: \
         keys/backup.txt\n",
        server.endpoint(),
        identity.to_public()
    ));
    with_keys(&world, &["up"]);
    world.eventually("the agent makes a backup", || job(&world)["last_success"].is_string());
    world.eventually("and proves it", || job(&world)["last_verified"].is_string());
    let of_drill = "select drill || ' ' || drill_rows || ' ' || drill_differences || ' ' || (drill_millis > 0) from hypertide.backup_run
                    where drill is not null limit 1";
    assert_eq!(world.sql("primary", of_drill), "equal 70 0 true");

    // The host sees the same.
    let listed = with_keys(&world, &["--json", "backup", "list"]).json();
    let proven = listed["backups"].as_array().unwrap().iter().find(|one| one["state"] == "verified").unwrap().clone();
    assert_eq!((&proven["job"], &proven["encrypted"], &proven["rows"]), (&"often".into(), &true.into(), &70.into()));
    let id = proven["id"].as_str().unwrap();
    let checked = with_keys(&world, &["--json", "backup", "verify", id, "--identity", "keys/backup.txt"]).json();
    assert_eq!(checked["checks"][0]["outcome"], "good", "{checked:#}");
    let drilled = with_keys(&world, &["--json", "backup", "drill", id, "--identity", "keys/backup.txt"]).json();
    assert_eq!(drilled["drills"][0]["outcome"], "equal", "{drilled:#}");
    let archive = server.file(&format!("some/prefix/{}/{id}/archive.dump.zst.age", world.cluster));
    assert!(std::fs::read(archive).unwrap().starts_with(b"age-encryption.org/"));

    // Nobody else sees how.
    let agent = world.container("agent");
    let inspected = runtime.block_on(docker().inspect_container(&agent, None)).unwrap();
    let top = runtime.block_on(docker().top_processes(&agent, None)).unwrap();
    let places = [
        ("inspect", serde_json::to_string(&inspected).unwrap()),
        ("top", serde_json::to_string(&top).unwrap()),
        ("logs", world.ok(&["logs", "agent", "--tail", "100000"]).stdout),
        ("status", with_keys(&world, &["-vvv", "--json", "status"]).stdout),
        ("list", listed.to_string()),
        ("metadata", world.sql("primary", "select b::text from hypertide.backup_metadata b")),
        ("runs", world.sql("primary", "select r::text from hypertide.backup_run r")),
    ];
    for (place, text) in &places {
        assert!(!text.is_empty(), "{place} says nothing, so this proves nothing");
        for secret in [SECRET_KEY, secret.as_str()] {
            assert!(!text.contains(secret), "a secret shows in {place}");
        }
    }

    // Killed while a backup is under way. One that was done before the signal came does not count.
    let under_way =
        || world.sql("primary", "select count(*) from hypertide.backup_run where outcome = 'running'") == "1";
    let is_cut_off = (0..5).any(|_| {
        world.eventually("a backup is under way", under_way);
        let signal = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        runtime.block_on(docker().kill_container(&agent, Some(signal))).unwrap();
        let is_cut_off = under_way();
        if !is_cut_off {
            with_keys(&world, &["up"]);
        }
        is_cut_off
    });
    assert!(is_cut_off, "no kill came in time");
    world.eventually("the run reads as cut off", || job(&world)["last_result"] == "interrupted");
    let whole = |world: &World| {
        let listed = with_keys(world, &["--json", "backup", "list"]).json();
        let all = listed["backups"].as_array().unwrap().clone();
        let is_whole = |one: &Value| one["state"] == "complete" || one["state"] == "verified";
        assert!(all.iter().all(is_whole), "{listed:#}");
        all.len()
    };
    let before = whole(&world);
    with_keys(&world, &["up"]);
    world
        .eventually("the next agent makes one", || job(&world)["last_result"] == "succeeded" && whole(&world) > before);
    // Before the check, which takes longer than the agent takes for another.
    let mirrored = world.sql("primary", "select backup_id from hypertide.backup_metadata where is_active");
    let checked = with_keys(&world, &["--json", "backup", "verify", "--all"]).json();
    assert!(checked["checks"].as_array().unwrap().iter().all(|one| one["outcome"] == "good"), "{checked:#}");
    let checked = checked.to_string();
    assert!(mirrored.lines().count() > 0 && mirrored.lines().all(|id| checked.contains(id)), "{mirrored}\n{checked}");
}
