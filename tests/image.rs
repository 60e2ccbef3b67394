//! The bundled image and the adapter that provides it, against a real Docker engine.
//!
//! Where there is no `debian:trixie-slim` and no registry that has it, the first test to run makes it by debootstrap.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "image/world.rs"]
mod world;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hypertide::docker::image::{self, ImageError};
use hypertide::model::seen::Seen;
use hypertide::plan::image::ImagePlan;

use world::{Container, PASSWORD, VOLUME_PATH, eventually, in_a_world};

/// Readable by root only: the entry point reads it before it steps down.
const SECRET: (&str, u32, &[u8]) = ("secret/password", 0o600, PASSWORD.as_bytes());
const PASSWORD_FILE: &str = "POSTGRES_PASSWORD_FILE=/secret/password";
/// As hypertide sets it: below the mount point.
const SUBDIRECTORY: &str = "PGDATA=/var/lib/postgresql/data/pgdata";

/// `insert into seen values ('gz');`
const GZ: &str = "H4sIAAAAAAACA8vMK04tKlHIzCvJVyhOTc1TKEvMKU0tVtBQT69S17TmAgADBp9+IAAAAA==";
/// `insert into seen values ('zst');`
const ZST: &str = "KLUv/QRoCQEAaW5zZXJ0IGludG8gc2VlbiB2YWx1ZXMgKCd6c3QnKTsKWGUJOQ==";

#[tokio::test]
async fn facts_tell_what_is_in_an_image_without_running_it() {
    in_a_world(async |world| {
        assert_eq!(world.image, image::bundled_reference());
        let facts = image::facts(&world.docker, &world.image).await.unwrap();
        let facts = facts.present().expect("it was just built");
        assert_eq!(facts.reference, world.image);
        assert_eq!(facts.postgres_major, Some(17));
        let version = facts.timescaledb.as_deref().expect("it has the extension");
        assert!(version.starts_with("2."), "{version}");

        let base = image::facts(&world.docker, "debian:trixie-slim").await;
        let base = base.unwrap().present().expect("the base image").clone();
        assert_eq!((base.postgres_major, base.timescaledb), (None, None));

        let none = image::facts(&world.docker, "hypertide/no-such-image:1").await;
        assert_eq!(none.unwrap(), Seen::Absent);

        let local = image::local_references(&world.docker).await.unwrap();
        assert!(local.contains(&world.image) && local.contains(&facts.id));

        let container = Container { command: &["true"], ..Container::default() };
        let id = world.start(container).await;
        let ids = image::postgres_uid(&world.docker, &id).await.unwrap();
        assert_eq!(ids, (999, 999));
    })
    .await;
}

#[tokio::test]
async fn a_registry_that_does_not_answer_leads_to_a_build_only_where_that_was_planned() {
    in_a_world(async |world| {
        let plan = |or_build| ImagePlan::Pull { reference: "127.0.0.1:1/no-such-image:1".to_owned(), or_build };
        let built = image::provide(&world.docker, &plan(true), &|_| ()).await;
        assert_eq!(built.unwrap(), world.image);
        let refused = image::provide(&world.docker, &plan(false), &|_| ()).await;
        let refused = refused.expect_err("there is nothing to fall back on");
        assert!(matches!(refused, ImageError::Pull { .. }), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_fresh_volume_becomes_a_utf8_checksummed_scram_cluster_with_timescaledb() {
    in_a_world(async |world| {
        let volume = world.volume().await;
        let id = world
            .start(Container {
                environment: &[PASSWORD_FILE, SUBDIRECTORY],
                command: &["-c", "max_connections=23"],
                volume: Some(&volume),
                files: &[SECRET],
            })
            .await;
        let client = world.connect(&id, "postgres").await;
        for (setting, wanted) in [
            ("server_encoding", "UTF8"),
            ("lc_collate", "C.UTF-8"),
            ("data_checksums", "on"),
            ("password_encryption", "scram-sha-256"),
            ("shared_preload_libraries", "timescaledb"),
            ("max_connections", "23"),
            ("fsync", "on"),
            ("data_directory", "/var/lib/postgresql/data/pgdata"),
        ] {
            let sql = "select coalesce(current_setting($1, true), (select datcollate from pg_database limit 1))";
            let value: String = client.query_one(sql, &[&setting]).await.unwrap().get(0);
            assert_eq!(value, wanted, "{setting}");
        }
        let scram = "select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'postgres'";
        assert!(client.query_one(scram, &[]).await.unwrap().get::<_, bool>(0));
        let every = "select string_agg(concat_ws(' ', type, database, user_name, address, auth_method), '; ' order by rule_number)
                     from pg_hba_file_rules where address is null or address = 'all'";
        let rules: String = client.query_one(every, &[]).await.unwrap().get(0);
        assert_eq!(
            rules,
            "local {all} {all} trust; local {replication} {all} trust; \
             host {all} {all} all scram-sha-256; host {replication} {all} all scram-sha-256"
        );
        client
            .batch_execute(
                "create extension timescaledb;
                 create table m (at timestamptz not null, v int);
                 select create_hypertable('m', by_range('at'));
                 insert into m values (now(), 1)",
            )
            .await
            .unwrap();

        let log = world.log(&id).await;
        assert!(!log.contains(PASSWORD), "{log}");
        let starts = log.matches("starting PostgreSQL").count();
        assert_eq!(starts, 1, "nothing to run, so no temporary server:\n{log}");
        // The server's environment, which any superuser can read.
        let sql = "select count(*) filter (where line like 'PGDATA=%'), count(*) filter (where line like '%PASSWORD%')
                   from regexp_split_to_table(encode(pg_read_binary_file('/proc/1/environ'), 'escape'), '\\\\000') as line";
        let row = client.query_one(sql, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn init_scripts_of_every_kind_run_once_and_in_order() {
    in_a_world(async |world| {
        let gz = STANDARD.decode(GZ).unwrap();
        let zst = STANDARD.decode(ZST).unwrap();
        let volume = world.volume().await;
        let id = world
            .start(Container {
                environment: &[PASSWORD_FILE, SUBDIRECTORY, "POSTGRES_DB=app \"one\""],
                volume: Some(&volume),
                files: &[
                    SECRET,
                    ("docker-entrypoint-initdb.d/10.sql", 0o644, b"create extension timescaledb; create table seen (what text);"),
                    ("docker-entrypoint-initdb.d/20.sh", 0o644, b"psql -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\" -c \"insert into seen values ('sourced$UNSET')\"\n"),
                    ("docker-entrypoint-initdb.d/30.sh", 0o755, b"#!/bin/sh\necho 'work_mem = 7MB' >> \"$PGDATA/postgresql.conf\"\n"),
                    ("docker-entrypoint-initdb.d/40.sql.gz", 0o644, &gz),
                    ("docker-entrypoint-initdb.d/50.sql.zst", 0o644, &zst),
                    ("docker-entrypoint-initdb.d/60.txt", 0o644, b"not a script"),
                ],
                ..Container::default()
            })
            .await;
        let seen = "select string_agg(what, ' ') || current_setting('work_mem') from seen";
        let client = world.connect(&id, "app \"one\"").await;
        let text: String = client.query_one(seen, &[]).await.unwrap().get(0);
        assert_eq!(text, "sourced gz zst7MB");
        client.batch_execute("insert into seen values ('again')").await.unwrap();

        world.stop(&id).await;
        world.start_again(&id).await;
        let client = world.connect(&id, "app \"one\"").await;
        let text: String = client.query_one(seen, &[]).await.unwrap().get(0);
        assert_eq!(text, "sourced gz zst again7MB");
        let log = world.log(&id).await;
        assert_eq!(log.matches("docker-entrypoint: initialised").count(), 1, "{log}");
    })
    .await;
}

/// Stops for ever the first time it runs in a container.
const STUCK_ONCE: (&str, u32, &[u8]) = (
    "docker-entrypoint-initdb.d/10.sh",
    0o644,
    b"psql -U postgres -c 'create table half ()'\nif [ ! -e /tmp/once ]; then touch /tmp/once; echo STUCK; sleep infinity; fi\n",
);

async fn survives_a_kill_in_mid_initialisation(data_directory: &str) {
    in_a_world(async |world| {
        let volume = world.volume().await;
        let id = world
            .start(Container {
                environment: &[PASSWORD_FILE, data_directory],
                volume: Some(&volume),
                files: &[SECRET, STUCK_ONCE],
                ..Container::default()
            })
            .await;
        world.until_log_has(&id, "STUCK").await;
        world.kill(&id).await;
        world.start_again(&id).await;
        let client = world.connect(&id, "postgres").await;
        client.query("select from half", &[]).await.unwrap();
        let log = world.log(&id).await;
        assert!(log.contains("starting over"), "{log}");

        let ls = Container {
            command: &["bash", "-c", "find \"$0\" -name '*.incomplete'", VOLUME_PATH],
            volume: Some(&volume),
            ..Container::default()
        };
        let ls = world.start(ls).await;
        assert_eq!(world.ended(&ls).await, 0);
        assert_eq!(world.log(&ls).await, "", "nothing is left of the first try");
    })
    .await;
}

#[tokio::test]
async fn a_kill_in_mid_initialisation_starts_over_below_a_mount_point() {
    survives_a_kill_in_mid_initialisation(SUBDIRECTORY).await;
}

#[tokio::test]
async fn a_kill_in_mid_initialisation_starts_over_in_a_mount_point() {
    survives_a_kill_in_mid_initialisation("PGDATA=/var/lib/postgresql/data").await;
}

#[tokio::test]
async fn what_would_be_served_wrongly_is_refused_in_one_sentence() {
    in_a_world(async |world| {
        let volume = world.volume().await;
        let server = |command: &'static [&'static str]| Container {
            environment: &[PASSWORD_FILE, SUBDIRECTORY],
            command,
            volume: Some(&volume),
            files: &[SECRET],
        };
        let id = world.start(server(&[])).await;
        world.connect(&id, "postgres").await;
        world.stop(&id).await;

        let refused = async |command, sentence: &str| {
            let id = world.start(server(command)).await;
            assert_eq!(world.ended(&id).await, 1);
            let log = world.log(&id).await;
            assert!(log.contains(sentence), "{log}");
            assert_eq!(log.lines().count(), 1, "{log}");
        };
        refused(&["postgres", "-c", "shared_preload_libraries="], "must contain timescaledb, or hypertables in").await;
        // Any other command is run as it is.
        let spoil = Container {
            environment: &[SUBDIRECTORY],
            command: &["bash", "-c", "echo 16 > \"$PGDATA/PG_VERSION\""],
            volume: Some(&volume),
            ..Container::default()
        };
        let spoil = world.start(spoil).await;
        assert_eq!(world.ended(&spoil).await, 0);
        refused(&[], "was made by PostgreSQL 16 and this image runs PostgreSQL 17").await;
    })
    .await;
}

#[tokio::test]
async fn neither_a_missing_password_nor_a_foreign_directory_leads_to_a_cluster() {
    in_a_world(async |world| {
        let id = world.start(Container::default()).await;
        assert_eq!(world.ended(&id).await, 1);
        assert!(world.log(&id).await.contains("no password for the superuser"));

        let id = world.start(Container { environment: &[PASSWORD_FILE], ..Container::default() }).await;
        assert_eq!(world.ended(&id).await, 1);
        let log = world.log(&id).await;
        assert!(log.contains("/secret/password, which cannot be read"), "{log}");

        let id = world
            .start(Container {
                environment: &[PASSWORD_FILE],
                files: &[SECRET, ("var/lib/postgresql/data/precious", 0o644, b"x")],
                ..Container::default()
            })
            .await;
        assert_eq!(world.ended(&id).await, 1);
        let log = world.log(&id).await;
        assert!(log.contains("is not empty, but it holds no database"), "{log}");

        let id =
            world.start(Container { environment: &["POSTGRES_HOST_AUTH_METHOD=trust"], ..Container::default() }).await;
        let client = world.connect(&id, "postgres").await;
        eventually("it answers", async || client.query("select", &[]).await.ok()).await;
    })
    .await;
}
