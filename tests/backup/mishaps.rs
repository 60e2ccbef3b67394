//! What goes wrong while a backup is made, and what is wrong with one that is there: the program says what it tried, where, why and
//! what to do, older backups stay good, and the next run works.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use bollard::query_parameters::KillContainerOptionsBuilder;
use serde_json::Value;

use crate::faults::{ALWAYS, Fault, Proxy, Seen};
use crate::server::SECRET_KEY;
use crate::shared::shared;
use crate::shelf::{Shelf, stocked};
use crate::world::{Run, World, docker};

/// A backup of 12 MiB, which is an upload in parts.
const FULL: [&str; 4] = ["backup", "run", "--kind", "full"];
/// A small one.
const SCHEMA: [&str; 4] = ["backup", "run", "--kind", "schema"];

/// Every backup that is listed, the newest first, each with its state.
fn listed(world: &World, shelf: &Shelf) -> Vec<(String, String)> {
    let list = shelf.good(world, &["backup", "list"]);
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    list["backups"].as_array().unwrap().iter().map(|one| (text(one, "id"), text(one, "state"))).collect()
}

/// It ended with this code and said all of this, and no secret.
fn told(what: &str, run: &Run, code: i32, said: &[&str]) {
    assert_eq!(run.code, code, "{what}\n{}{}", run.stdout, run.stderr);
    let error = &run.json()["error"];
    assert_eq!(error["exit_code"], code, "{what}");
    assert!(error["help"].as_str().is_some_and(|help| !help.is_empty()), "{what}: {error:#}");
    for text in said {
        assert!(error.to_string().contains(text), "{what}: `{text}` is not in {error:#}");
    }
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET_KEY), "{what}");
}

/// What an earlier backup and the store's files were before something went wrong.
struct Before {
    listed: Vec<(String, String)>,
    files: Vec<String>,
}

impl Before {
    fn with_one(world: &World, shelf: &Shelf) -> Self {
        shelf.good(world, &SCHEMA);
        Self { listed: listed(world, shelf), files: shelf.files() }
    }

    /// Nothing was added, and what was there is good.
    fn still_stands(&self, world: &World, at: &Shelf, what: &str) {
        assert_eq!(listed(world, at), self.listed, "{what}");
        assert_eq!(at.files(), self.files, "{what}");
    }
}

/// After it was mended, another backup is made, and all of them are good.
fn is_mended(world: &World, shelf: &Shelf, before: &Before) {
    shelf.good(world, &FULL);
    let checked = shelf.good(world, &["backup", "verify", "--all"]);
    let outcomes: Vec<&str> =
        checked["checks"].as_array().unwrap().iter().filter_map(|one| one["outcome"].as_str()).collect();
    assert_eq!(outcomes, vec!["good"; before.listed.len() + 1], "{checked:#}");
}

#[test]
fn a_bucket_that_fails_in_mid_backup_is_told_and_holds_nothing_of_it() {
    type Case = (&'static str, fn(&Seen) -> bool, Fault, i32, &'static [&'static str]);
    const CASES: [Case; 5] = [
        (
            "500",
            Seen::is_part,
            Fault::Answer(500, "InternalError"),
            75,
            &["cannot write s3://", "InternalError, HTTP 500"],
        ),
        ("throttled", Seen::is_complete, Fault::Answer(503, "SlowDown"), 75, &["cannot write s3://", "SlowDown"]),
        ("cut", Seen::is_part, Fault::CutUpload(1 << 20), 75, &["cannot write s3://", "archive.dump"]),
        ("clock", Seen::is_part, Fault::Answer(403, "RequestTimeTooSkewed"), 1, &["set this host's clock"]),
        (
            "manifest",
            |seen| seen.is_put() && seen.target.contains("manifest.json"),
            Fault::Answer(500, "InternalError"),
            75,
            &["manifest.json"],
        ),
    ];
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let config = stocked(world, "failing", dir.path());
    let endure = |(what, applies, fault, code, said): Case| {
        let mut shelf = Shelf::bucket(&config);
        let before = Before::with_one(world, &shelf);
        let proxy = Proxy::before(shelf.address());
        proxy.on(applies, ALWAYS, fault);
        shelf.endpoint = Some(proxy.endpoint());
        told(what, &shelf.run(world, &FULL), code, said);
        assert!(proxy.count(applies) > 0, "{what}: it never came to that");
        before.still_stands(world, &shelf, what);
        proxy.heal();
        is_mended(world, &shelf, &before);
    };
    std::thread::scope(|scope| {
        let threads = CASES.map(|case| scope.spawn(move || endure(case)));
        for thread in threads {
            thread.join().unwrap();
        }
    });

    // Nobody whom the service knows.
    let shelf = Shelf::bucket(&config);
    let before = Before::with_one(world, &shelf);
    let mut command = shelf.command(world, &FULL);
    command.env("AWS_SECRET_ACCESS_KEY", "another-secret");
    told("stranger", &Run::of(&command.output().unwrap()), 1, &["SignatureDoesNotMatch", "s3://"]);
    let mut command = shelf.command(world, &FULL);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("HOME", "/nonexistent");
    told("nobody", &Run::of(&command.output().unwrap()), 1, &["there are no credentials"]);
    before.still_stands(world, &shelf, "stranger");
}

/// A file system in memory; gone when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        disk.mounted(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"]);
        disk
    }

    fn mounted(&self, args: &[&str]) {
        let output = Command::new("mount").args(args).arg(self.0.path()).output().expect("`mount` is installed");
        assert!(output.status.success(), "this test mounts, as root: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(std::thread::panicking() || unmounted.is_ok_and(|status| status.success()), "still mounted");
    }
}

#[test]
fn a_disk_that_is_full_or_read_only_is_told_and_holds_nothing_of_it() {
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let config = stocked(world, "crowded", dir.path());
    let disk = SmallDisk::mount();
    let shelf = Shelf::within(&config, disk.0.path());
    let before = Before::with_one(world, &shelf);
    told("full", &shelf.run(world, &FULL), 1, &["cannot write file://", "No space left", "prune"]);
    before.still_stands(world, &shelf, "full");
    disk.mounted(&["-o", "remount,ro"]);
    told("read-only", &shelf.run(world, &FULL), 1, &["cannot write file://", "Read-only"]);
    before.still_stands(world, &shelf, "read-only");
    disk.mounted(&["-o", "remount,rw,size=64m"]);
    is_mended(world, &shelf, &before);
    let nowhere = Shelf::within(&config, Path::new("/nowhere/at/all"));
    told("nowhere", &nowhere.run(world, &FULL), 1, &["/nowhere/at/all"]);
    let stranger = [&FULL[..], &["--encrypt", "age1nobody"]].concat();
    told("recipient", &shelf.run(world, &stranger), 2, &["age1nobody", "age-keygen"]);
}

#[test]
fn a_backup_that_is_newer_or_cut_short_is_told_and_the_others_serve() {
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let config = stocked(world, "spoilt", dir.path());
    let shelf = Shelf::disk(&config);
    let make = || shelf.good(world, &SCHEMA)["id"].as_str().unwrap().to_owned();
    let (good, short, newer) = (make(), make(), make());
    let file = |id: &str, name: &str| shelf.root().join(&world.cluster).join(id).join(name);
    let manifest = std::fs::read_to_string(file(&newer, "manifest.json")).unwrap();
    let mut later: Value = serde_json::from_str(&manifest).unwrap();
    later["format"] = 99.into();
    std::fs::write(file(&newer, "manifest.json"), later.to_string()).unwrap();
    let archive = std::fs::File::options().write(true).open(file(&short, "archive.dump.zst")).unwrap();
    archive.set_len(archive.metadata().unwrap().len() / 2).unwrap();

    let states = || listed(world, &shelf).into_iter().map(|(_, state)| state).collect::<Vec<_>>();
    assert_eq!(states(), ["newer", "incomplete", "complete"]);
    for (id, because) in [(&newer, "format 99"), (&short, "archive.dump.zst has")] {
        let run = shelf.run(world, &["backup", "verify", id]);
        assert_eq!((run.code, &run.json()["checks"][0]["outcome"]), (1, &Value::from("damaged")), "{}", run.stdout);
        told("drill", &shelf.run(world, &["backup", "drill", id]), 1, &[id, because]);
        told("restore", &shelf.run(world, &["restore", id, "--into", "database:spoilt_again"]), 1, &[id, because]);
    }
    // What is meant without a name is one that can be used.
    assert_eq!(shelf.good(world, &["backup", "verify"])["checks"][0]["backup"], good);
    shelf.good(world, &["backup", "prune", "--grace", "0s", "--keep-last", "5"]);
    assert_eq!(states(), ["newer", "incomplete", "complete"], "nobody knows that they are of no use");
    let next = make();
    assert_eq!(shelf.good(world, &["backup", "verify"])["checks"][0]["backup"], next);
}

#[test]
fn a_database_that_stops_in_mid_dump_ends_the_backup_and_the_next_one_works() {
    let world = World::new("");
    world.configure(&format!("packs: []\nnodes: {{primary: {{port: {}}}, replicas: []}}\n", world.ports[0]));
    world.ok(&["up", "--no-agent"]);
    // 300 MiB that hardly shrink: more than any buffer takes before somebody has noticed. What repeats is too far apart.
    world.sql(
        "primary",
        "create table public.long (line text); alter table public.long alter column line set storage external;
         with block as (select string_agg(md5(m::text), '') as line from generate_series(1, 131072) m)
         insert into public.long select line from block, generate_series(1, 75)",
    );
    let shelf = Shelf::disk(&world.config());
    let before = Before::with_one(&world, &shelf);
    let mut child = shelf.command(&world, &FULL).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let is_moving = |note: &String| {
        let event = serde_json::from_str::<Value>(note).unwrap_or_default();
        event["raw_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20)
    };
    assert!(notes.any(|note| is_moving(&note)), "it never moved");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let signal = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
    runtime.block_on(docker().kill_container(&world.container("primary-1"), Some(signal))).unwrap();
    let stderr: Vec<String> = notes.collect();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let run = Run { code: child.wait().unwrap().code().unwrap(), stdout, stderr: stderr.join("\n") };
    told("stopped", &run, 75, &[]);
    let error = run.json()["error"].to_string();
    // Whoever notices first: the program that reads, or the session that holds the snapshot.
    assert!(["pg_dump", "primary-1"].iter().any(|who| error.contains(who)), "{error}");
    before.still_stands(&world, &shelf, "stopped");
    told("still away", &shelf.run(&world, &FULL), 75, &["no node is seen to be the primary"]);
    let from = [&FULL[..], &["--from", "replica-9"]].concat();
    told("no such node", &shelf.run(&world, &from), 2, &["replica-9"]);
    world.ok(&["up", "--no-agent"]);
    is_mended(&world, &shelf, &before);
}
