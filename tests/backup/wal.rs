//! The log goes into its archive whatever happens on the way, and what is missing in it is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard::query_parameters::KillContainerOptionsBuilder;
use hypertide::backup::wal::archive::{Archive, LogFile};
use hypertide::backup::wal::continuity::Coverage;
use hypertide::model::backup::Scope;
use hypertide::model::lsn::Lsn;
use hypertide::store::disk::Disk;

use crate::world::{World, docker};

const MAX_AGE_SECS: u32 = 5;

struct Archived {
    world: World,
    store: PathBuf,
}

impl Archived {
    /// A cluster without replicas whose log is archived to a directory of the host.
    fn up() -> Self {
        let world = World::new("");
        let store = world.dir.path().join("store");
        let archived = Self { world, store };
        archived.configure(true);
        archived.world.ok(&["up"]);
        archived
    }

    fn configure(&self, is_archived: bool) {
        let job = if is_archived {
            format!(
                "backups: [{{name: log, kind: wal, store: \"file://{}\", max_age: {MAX_AGE_SECS}s}}]\n",
                self.store.display()
            )
        } else {
            String::new()
        };
        let port = self.world.ports[0];
        self.world.configure(&format!("nodes: {{primary: {{port: {port}}}, replicas: []}}\npacks: []\n{job}"));
    }

    fn sql(&self, sql: &str) -> String {
        self.world.sql("primary", sql)
    }

    /// Writes something and gives a position behind it.
    fn write(&self) -> Lsn {
        self.sql("create table if not exists public.t (n bigint)");
        self.sql("insert into public.t select generate_series(1, 1000)");
        self.sql("select pg_current_wal_insert_lsn()").parse().unwrap()
    }

    fn coverage(&self) -> (Coverage, Archive) {
        let store = Disk::new(self.store.clone());
        let scope: Scope = self.world.cluster.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let archive = runtime.block_on(Archive::list(&store, &scope)).unwrap();
        (Coverage::of(archive.segments(), &BTreeMap::new()), archive)
    }

    fn reaches(&self, position: Lsn) -> bool {
        self.coverage().0.last().is_some_and(|last| last.to() >= position)
    }

    fn eventually_reaches(&self, position: Lsn) {
        self.world
            .eventually(&format!("the archive goes up to {position}: {}", self.told()), || self.reaches(position));
    }

    fn told(&self) -> String {
        self.sql(
            "select phase || ': ' || coalesce(because, '-') || ', ' || coalesce(gap, '-') from hypertide.wal_archive",
        )
    }

    fn is_whole(&self) {
        let (coverage, archive) = self.coverage();
        assert_eq!(coverage.gaps, []);
        assert_eq!(coverage.ranges.len(), 1, "{coverage:?}");
        assert_eq!(archive.conflicts, []);
    }

    fn kill(&self, container: &str) {
        let name = format!("{}-{container}", self.world.cluster);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        runtime.block_on(docker().kill_container(&name, Some(options))).unwrap();
    }

    fn start(&self, container: &str) {
        let name = format!("{}-{container}", self.world.cluster);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(docker().start_container(&name, None)).unwrap();
    }
}

fn object(store: &Path, archive: &Archive, file: LogFile) -> PathBuf {
    store.join(archive.files[&file].key.as_str())
}

#[test]
fn the_archive_is_whole_whoever_is_killed_and_whatever_is_away() {
    let archived = Archived::up();
    archived.eventually_reaches(archived.write());

    // The agent, in the middle of whatever it does.
    for _ in 0..3 {
        let written = archived.write();
        archived.sql("select pg_switch_wal()");
        archived.kill("agent");
        archived.write();
        archived.start("agent");
        archived.eventually_reaches(written);
    }
    archived.is_whole();

    // The primary.
    archived.write();
    archived.kill("primary-1");
    archived.world.eventually("the primary is back", || {
        archived.world.run(&["psql", "primary", "--", "-c", "select 1"]).code == 0
    });
    archived.eventually_reaches(archived.write());
    archived.is_whole();

    // The store. A directory that nobody can write into is one that is away, for root as well.
    let (held, away) = (archived.store.clone(), archived.store.with_extension("away"));
    let folder = held.join(&archived.world.cluster).join("wal/00000001");
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, b"in the way").unwrap();
    archived.world.eventually("the failing store is told", || archived.told().starts_with("failing"));
    let mut written = archived.write();
    for _ in 0..4 {
        archived.sql("select pg_switch_wal()");
        written = archived.write();
    }
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    archived.eventually_reaches(written);
    archived.is_whole();
    archived.world.eventually("all is well again", || archived.told().starts_with("archiving"));
    let exposed = || archived.sql("select coalesce(seconds, 0) from hypertide.wal_exposure()").parse::<f64>().unwrap();
    archived.world.eventually("little is exposed", || exposed() <= f64::from(MAX_AGE_SECS));
}

#[test]
fn a_hole_and_a_second_content_are_named_and_the_slot_goes_with_the_job() {
    let archived = Archived::up();
    let mut written = archived.write();
    for _ in 0..3 {
        archived.sql("select pg_switch_wal()");
        written = archived.write();
    }
    archived.eventually_reaches(written);

    // Somebody removes a segment; the next agent sees it.
    let (coverage, archive) = archived.coverage();
    let range = coverage.ranges[0];
    let missing = range.first.next();
    std::fs::remove_file(object(&archived.store, &archive, LogFile::Segment(missing))).unwrap();
    archived.kill("agent");
    archived.start("agent");
    archived.world.eventually("the hole is named", || archived.told().contains(&missing.to_string()));

    // Another server cannot write into this archive.
    let identity = archived.store.join(&archived.world.cluster).join("wal/archive.json");
    let text = std::fs::read_to_string(&identity).unwrap();
    let system = archived.sql("select system_identifier from pg_control_system()");
    std::fs::write(&identity, text.replace(&system, "1234567")).unwrap();
    archived.kill("agent");
    archived.start("agent");
    archived.world.eventually("the other server is named", || archived.told().contains("server 1234567"));
    std::fs::write(&identity, text).unwrap();
    archived.eventually_reaches(archived.write());

    let slots = || archived.sql("select count(*) from pg_replication_slots where slot_name = 'hypertide_wal'");
    assert_eq!(slots(), "1");
    archived.configure(false);
    archived.world.ok(&["up"]);
    archived.world.eventually("the slot is gone", || slots() == "0");
    assert_eq!(archived.sql("select count(*) from hypertide.wal_archive"), "0");
}
