//! Backups whose process is killed at any moment, to a directory and to a bucket: what is listed afterwards is whole and comes
//! back, and what is left of the others can be removed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use bollard::query_parameters::ListContainersOptionsBuilder;
use serde_json::Value;

use crate::shared::shared;
use crate::shelf::{Shelf, stocked};
use crate::world::{World, docker};

/// Kills of backups to each of the two stores.
const KILLS: usize = 50;

/// Drills at most of backups that were listed although their process was killed.
const DRILLS: usize = 3;

/// Seeds the moments of the kills, to have the same again.
const SEED: &str = "HYPERTIDE_TEST_SEED";

/// What is backed up, in turn.
const KINDS: [&[&str]; 6] = [
    &["--kind", "full"],
    &["--kind", "full", "--parallel", "2"],
    &["--kind", "schema"],
    &["--kind", "full"],
    &["--kind", "tables", "--tables", "shop.events,shop.kinds"],
    &["--kind", "full", "--parallel", "2"],
];

/// Takes longest, and has its turn seldom.
const BASE: &[&str] = &["--kind", "base"];

/// How seldom.
const BASES: usize = 20;

/// Steele, Lea and Flood: Fast splittable pseudorandom number generators, 2014.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A run that was to be killed.
struct Ended {
    kind: String,
    after: Duration,
    /// Its backup, when it came as far as giving it a name.
    id: Option<String>,
    is_killed: bool,
}

/// Runs the program and kills it after some time, when it has not ended by then.
fn kill(mut command: Command, kind: &[&str], after: Duration, notes: &Path) -> Ended {
    let mut child =
        command.stdout(File::create("/dev/null").unwrap()).stderr(File::create(notes).unwrap()).spawn().unwrap();
    let began = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() >= after {
            child.kill().unwrap();
            break child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let told = std::fs::read_to_string(notes).unwrap();
    let is_killed = ended.signal() == Some(9);
    assert!(is_killed || ended.success(), "{kind:?} ended by itself with {ended}: {told}");
    let mut events = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let id = events.find_map(|event| Some(event["id"].as_str()?.to_owned()));
    Ended { kind: kind.join(" "), after, id, is_killed }
}

fn run_args<'a>(kind: &[&'a str]) -> Vec<&'a str> {
    [&["backup", "run", "--scope", "killed"], kind].concat()
}

/// Measures each kind, then kills runs of it at moments that chance chooses within that time, and a little later. What ends
/// before its kill counts as no kill.
fn torture(world: &World, shelf: &Shelf, temporary: &Path, chance: &mut Chance) -> Vec<Ended> {
    let mut took: BTreeMap<&[&str], Duration> = BTreeMap::new();
    for kind in KINDS.into_iter().chain([BASE]) {
        took.entry(kind).or_insert_with(|| {
            let began = Instant::now();
            shelf.good(world, &run_args(kind));
            began.elapsed()
        });
    }
    eprintln!("{}: undisturbed {took:?}", shelf.name());
    let notes = temporary.join(format!("notes-{}", shelf.name()));
    let (mut runs, mut killed) = (Vec::new(), 0);
    while killed < KILLS {
        let kind = if runs.len() % BASES == 5 { BASE } else { KINDS[runs.len() % KINDS.len()] };
        let most = u64::try_from(took[&kind].as_micros()).unwrap() * 11 / 10;
        let mut command = shelf.command(world, &run_args(kind));
        command.env("TMPDIR", temporary);
        let run = kill(command, kind, Duration::from_micros(chance.below(most)), &notes);
        killed += usize::from(run.is_killed);
        runs.push(run);
    }
    runs
}

/// Backups of a store: name and state.
fn listed(world: &World, shelf: &Shelf) -> Vec<(String, String)> {
    let list = shelf.good(world, &["backup", "list"]);
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    list["backups"].as_array().unwrap().iter().map(|one| (text(one, "id"), text(one, "state"))).collect()
}

/// Everything that is listed is whole, and comes back; everything else goes.
fn examine(world: &World, shelf: &Shelf, runs: &[Ended], chance: &mut Chance) {
    let name = shelf.name();
    let all = listed(world, shelf);
    assert!(all.iter().all(|(_, state)| state == "complete"), "{name}: {all:?}");
    let checked = shelf.good(world, &["backup", "verify", "--all"]);
    assert_eq!(checked["checks"].as_array().map(Vec::len), Some(all.len()), "{name}: {checked:#}");
    assert!(checked["checks"].as_array().unwrap().iter().all(|one| one["outcome"] == "good"), "{name}: {checked:#}");

    let is_listed = |run: &&Ended| run.id.as_ref().is_some_and(|id| all.iter().any(|(listed, _)| listed == id));
    let (mut late, mut whole): (Vec<&Ended>, Vec<&Ended>) =
        runs.iter().filter(is_listed).partition(|run| run.is_killed);
    let killed = runs.iter().filter(|run| run.is_killed).count();
    eprintln!("{name}: {killed} of {} killed, {} of them late, {} whole", runs.len(), late.len(), whole.len());
    assert_eq!(whole.len(), runs.len() - killed, "{name}: what ended well is listed");
    let mut chosen = Vec::new();
    for (from, most) in [(&mut late, DRILLS), (&mut whole, 1)] {
        while !from.is_empty() && chosen.len() < most {
            let place = usize::try_from(chance.below(from.len() as u64)).unwrap();
            chosen.push(from.swap_remove(place));
        }
    }
    for run in chosen {
        let drilled = shelf.good(world, &["backup", "drill", run.id.as_ref().unwrap()]);
        let outcome = &drilled["drills"][0]["outcome"];
        assert_eq!(outcome, "equal", "{name}: {} {:?} {drilled:#}", run.kind, run.after);
    }

    let planned = shelf.good(world, &["backup", "prune", "--plan"]);
    assert_eq!(planned["steps"].as_array().map(Vec::len), Some(0), "{name}: within the grace period {planned:#}");
    let pruned = shelf.good(world, &["backup", "prune", "--grace", "0s"]);
    let removed = &pruned["scopes"][0]["removed"];
    eprintln!("{name}: {removed}");
    let left = ["orphans", "unfinished"].map(|kind| removed[kind].as_u64().unwrap());
    assert!(left.iter().sum::<u64>() > 0, "{name}: some kill leaves something {removed}");
    assert_eq!(removed["backups"], 0, "{name}: {pruned:#}");
    let is_of_backup = |file: &String| all.iter().any(|(id, _)| file.starts_with(&format!("killed/{id}/")));
    let files = shelf.files();
    assert!(files.iter().all(|file| is_of_backup(file) && !file.contains(".part-")), "{name}: {files:#?}");
    let ids = |list: Vec<(String, String)>| list.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(listed(world, shelf)), ids(all), "{name}: no backup went");
    shelf.good(world, &["backup", "verify", "--all"]);
}

/// Containers that share a directory below this one, with their states.
async fn containers(temporary: &Path) -> Vec<(String, String)> {
    let list = ListContainersOptionsBuilder::default().all(true).build();
    let below = temporary.to_string_lossy().into_owned();
    let is_ours = |source: &Option<String>| source.as_ref().is_some_and(|source| source.starts_with(&below));
    let found = docker().list_containers(Some(list)).await.unwrap().into_iter();
    let ours = found.filter(|one| one.mounts.iter().flatten().any(|mount| is_ours(&mount.source)));
    ours.map(|one| (one.names.unwrap_or_default().join(" "), format!("{:?}", one.state))).collect()
}

/// Makes directories look as if their process had been killed some time ago.
fn age(temporary: &Path) {
    let long_ago = SystemTime::now() - Duration::from_mins(5);
    for entry in std::fs::read_dir(temporary).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        File::open(entry.path()).unwrap().set_modified(long_ago).unwrap();
    }
}

#[test]
fn a_hundred_kills_leave_only_backups_that_come_back_and_nothing_else_for_good() {
    let world = shared();
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap());
    eprintln!("{SEED}={seed}");
    let dir = tempfile::tempdir().unwrap();
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let config = stocked(world, "killed", dir.path());

    let clock = Instant::now();
    let shelves = [Shelf::disk(&config), Shelf::bucket(&config)];
    let runs: Vec<Vec<Ended>> = std::thread::scope(|scope| {
        let begin = |(number, shelf)| {
            let temporary = &temporary;
            scope.spawn(move || torture(world, shelf, temporary, &mut Chance(seed.wrapping_add(number))))
        };
        let threads: Vec<_> = (0..).zip(&shelves).map(begin).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    eprintln!("killed after {:?}", clock.elapsed());
    let sessions = "select count(*) from pg_stat_activity where datname = 'killed' and application_name <> 'psql'
                    and backend_type = 'client backend'";
    let slots = "select coalesce(string_agg(slot_name, ' '), '') from pg_replication_slots";
    let ids: Vec<String> =
        runs.iter().flatten().filter_map(|run| Some(run.id.as_ref()?.to_lowercase().replace('-', "_"))).collect();
    for node in ["primary", "replica"] {
        world.eventually("no session of a killed run is left", || world.sql(node, sessions) == "0");
        world.eventually("no slot of a killed run is left", || {
            let slots = world.sql(node, slots);
            ids.iter().all(|id| !slots.contains(id))
        });
    }

    std::thread::scope(|scope| {
        let begin = |(number, shelf, runs): (u64, _, _)| {
            scope.spawn(move || examine(world, shelf, runs, &mut Chance(seed.wrapping_add(number))))
        };
        let threads: Vec<_> = (7..)
            .zip(&shelves)
            .zip(&runs)
            .map(|((number, shelf), runs)| begin((number, shelf, runs.as_slice())))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });

    eprintln!("examined after {:?}", clock.elapsed());
    // The next run takes everything away that was left on this host.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    world.eventually("containers go with the process that made them", || {
        // Those that were never started wait for the next run.
        !runtime.block_on(containers(&temporary)).iter().any(|(_, state)| !state.contains("CREATED"))
    });
    age(&temporary);
    for shelf in &shelves {
        let mut command = shelf.command(world, &run_args(KINDS[0]));
        assert!(command.env("TMPDIR", &temporary).output().unwrap().status.success());
    }
    world.eventually("no container is left", || runtime.block_on(containers(&temporary)).is_empty());
    let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().flatten().filter(|entry| entry.path().is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
}
