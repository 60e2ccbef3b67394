//! Packs in temporary directories, right and wrong, and the packs in the binary.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config::pack_jobs;
use crate::model::pack::Needs;

const MANIFEST: &str = "name: mine\ndescription: d\npublished: [a]\nschemas: [a, b]\n";

fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn load_dir(dir: &TempDir) -> Result<Vec<Pack>, PackError> {
    load(&[PackRef::Directory(dir.path().to_owned())])
}

/// The problems of a directory, without its path.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let dir = directory(files);
    let place = format!("{}/", dir.path().display());
    match load_dir(&dir) {
        Ok(packs) => panic!("expected problems, got {packs:?}"),
        Err(error) => error.problems.iter().map(|problem| problem.to_string().replace(&place, "")).collect(),
    }
}

fn problems_of_sql(sql: &str) -> Vec<String> {
    problems(&[("pack.yaml", MANIFEST), ("001_x.sql", sql)])
}

fn problems_of_manifest(manifest: &str) -> Vec<String> {
    problems(&[("pack.yaml", manifest)])
}

#[test]
fn jobs_of_a_directory_are_refused_and_not_left_alone() {
    let found = problems(&[("pack.yaml", MANIFEST), ("001_x.sql", "select 1"), ("jobs.yaml", "jobs: []")]);
    assert_eq!(found, ["jobs.yaml: jobs of a pack in a directory would never run"]);
}

#[test]
fn reads_a_directory_in_the_order_of_numbers() {
    let dir = directory(&[
        ("pack.yaml", MANIFEST),
        ("README.md", "words"),
        ("010_late.sql", "-- needs: community\n-- needs: no-logical-replica\nselect 2"),
        ("002_first-of_all.sql", "select 1;\n"),
    ]);
    let packs = load_dir(&dir).unwrap();
    let [pack] = packs.as_slice() else {
        panic!("one pack expected: {packs:?}");
    };
    assert_eq!((pack.name.as_str(), pack.description.as_str()), ("mine", "d"));
    assert_eq!(pack.published, pack.schemas[..1]);
    let ids: Vec<_> = pack.migrations.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(ids, ["mine/002_first-of_all", "mine/010_late"]);
    assert_eq!(pack.migrations[0].needs, Needs::default());
    let both = Needs { community: true, no_logical_replica: true };
    assert_eq!(pack.migrations[1].needs, both);
    // printf 'select 1;\n' | sha256sum
    assert_eq!(pack.migrations[0].checksum, "4a45092ccf992ea92250053a80b931b787924ba61648f420555511b84f10ab6c");
}

#[test]
fn every_problem_of_every_pack_shows_at_once() {
    let dir = directory(&[
        ("001_empty.sql", "-- nothing\n"),
        ("001_twice.sql", "select 1; commit;"),
        ("1_short.sql", "select 1"),
        ("000_zero.sql", "select 1"),
        ("002_Big.sql", "select 1"),
        ("notes.txt", ""),
    ]);
    fs::create_dir(dir.path().join("003_dir.sql")).unwrap();
    let error = load(&[
        PackRef::BuiltIn("tradign".to_owned()),
        PackRef::Directory(dir.path().to_owned()),
        PackRef::Directory("/nowhere/at/all".into()),
    ])
    .unwrap_err();
    let place = dir.path().display().to_string();
    insta::assert_snapshot!(error.to_string().replace(&place, "mine"), @r"
    the packs have 11 problems
      there is no built-in pack `tradign`
      mine has no pack.yaml
      mine/000_zero.sql does not belong in a pack
      mine/001_empty.sql holds no statement
      mine/001_twice.sql:1: a migration must not say COMMIT
      mine: 001_empty.sql and 001_twice.sql have the same number
      mine/002_Big.sql does not belong in a pack
      mine/003_dir.sql does not belong in a pack
      mine/1_short.sql does not belong in a pack
      mine/notes.txt does not belong in a pack
      could not read /nowhere/at/all: No such file or directory (os error 2)
    ");
    let help: Vec<_> = error.problems.iter().map(PackProblem::help).collect();
    assert_eq!(error.help().as_ref(), help.first());
    insta::assert_snapshot!(help.join("\n"), @r"
    did you mean `trading`?
    write one with the keys `name`, `description`, `published` and `schemas`
    a pack holds pack.yaml, README.md and migrations such as 001_first_tables.sql
    write its statements, or remove the file
    leave it out: each migration runs in a transaction of its own
    give the newer one the next free number
    a pack holds pack.yaml, README.md and migrations such as 001_first_tables.sql
    a pack holds pack.yaml, README.md and migrations such as 001_first_tables.sql
    a pack holds pack.yaml, README.md and migrations such as 001_first_tables.sql
    a pack holds pack.yaml, README.md and migrations such as 001_first_tables.sql
    check that it exists and that you may read it
    ");
}

#[test]
fn an_unknown_pack_unlike_any_is_answered_with_the_list() {
    let error = load(&[PackRef::BuiltIn("zzz".to_owned())]).unwrap_err();
    assert_eq!(error.to_string(), "there is no built-in pack `zzz`");
    let known = built_in().join(", ");
    assert_eq!(
        error.help().unwrap(),
        format!("built-in packs: {known}; a pack of your own is named by its directory, such as `./packs/mine`")
    );
}

#[test]
fn needs_that_would_go_unread_are_problems() {
    for sql in [
        "--needs: community\nselect 1",
        "-- Needs: community\nselect 1",
        "-- need: community\nselect 1",
        "-- requires: community\nselect 1",
        "-- needs : community\nselect 1",
        "/* needs: community */ select 1",
        "\u{feff}-- needs: community\nselect 1",
        "select 1;\n-- needs: community\n",
    ] {
        let line = if sql.starts_with("select") { 2 } else { 1 };
        assert_eq!(
            problems_of_sql(sql),
            [format!("001_x.sql:{line}: this would not be read as what the migration needs")],
            "{sql}"
        );
    }
}

#[test]
fn an_unknown_need_is_a_problem() {
    assert_eq!(
        problems_of_sql("-- needs: community, no-logical\nselect 1"),
        ["001_x.sql:1: `no-logical` is nothing a migration can need"]
    );
    assert_eq!(problems_of_sql("-- needs:\nselect 1"), ["001_x.sql:1: `` is nothing a migration can need"]);
}

#[test]
fn prose_about_needs_is_no_need() {
    let dir = directory(&[
        ("pack.yaml", MANIFEST),
        ("001_x.sql", "-- needs the tables of 001\n-- Note: needs: not here\nselect 1"),
    ]);
    assert!(load_dir(&dir).is_ok());
}

#[test]
fn a_migration_neither_opens_nor_closes_a_transaction() {
    for statement in ["begin", "START TRANSACTION", "commit", "End", "rollback", "abort"] {
        assert_eq!(
            problems_of_sql(&format!("select 1;\n{statement};")),
            [format!("001_x.sql:2: a migration must not say {}", statement.to_uppercase())]
        );
    }
    let dir =
        directory(&[("pack.yaml", MANIFEST), ("001_x.sql", "do $$ begin perform 1; end $$; prepare p as select 1;")]);
    assert!(load_dir(&dir).is_ok());
}

#[test]
fn a_manifest_says_everything_and_nothing_else() {
    assert_eq!(problems(&[]).len(), 1);
    assert_eq!(
        problems_of_manifest("published: [a]"),
        [
            "pack.yaml does not say `name`",
            "pack.yaml does not say `description`",
            "pack.yaml does not say `schemas`",
            "pack.yaml: `a` is published and not among the schemas",
        ]
    );
    let unknown = problems_of_manifest(&MANIFEST.replace("published", "publish"));
    assert!(
        unknown[0].starts_with("pack.yaml cannot be understood: ") && unknown[0].contains("publish"),
        "{unknown:?}"
    );
}

#[test]
fn schemas_of_others_are_refused() {
    for schema in ["_timescaledb_internal", "pg_toast", "hypertide", "information_schema"] {
        assert_eq!(
            problems_of_manifest(&format!("name: m\ndescription: d\nschemas: [{schema}]")),
            [format!("pack.yaml: schema `{schema}` belongs to somebody else")]
        );
    }
}

#[test]
fn two_packs_of_one_name_are_refused() {
    let one = directory(&[("pack.yaml", MANIFEST)]);
    let two = directory(&[("pack.yaml", MANIFEST)]);
    let refs = [&one, &two].map(|dir| PackRef::Directory(dir.path().to_owned()));
    let error = load(&refs).unwrap_err();
    assert!(matches!(error.problems.as_slice(), [PackProblem::NameTaken { .. }]));
}

#[test]
fn every_built_in_pack_is_sound_and_named_after_its_directory() {
    let refs: Vec<_> = built_in().into_iter().map(PackRef::BuiltIn).collect();
    let packs = load(&refs).unwrap();
    let names: Vec<_> = packs.iter().map(|pack| pack.name.clone()).collect();
    assert_eq!(names, built_in());
    assert!(packs.iter().all(|pack| !pack.migrations.is_empty()));
}

#[test]
fn the_binary_embeds_the_packs_that_are_on_disk() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/packs");
    let on_disk: BTreeSet<_> =
        fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(on_disk, built_in().into_iter().collect());
    for name in on_disk {
        let embedded = load(&[PackRef::BuiltIn(name.clone())]).unwrap();
        // A directory of the user's own has no jobs, so this one has them elsewhere.
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(root.join(&name)).unwrap().map(Result::unwrap) {
            if file.file_name() == pack_jobs::FILE {
                let (_, jobs) =
                    pack_jobs::ALL.into_iter().find(|(pack, _)| *pack == name).expect("the binary has them");
                assert_eq!(fs::read_to_string(file.path()).unwrap(), jobs);
            } else {
                fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
            }
        }
        let read = load(&[PackRef::Directory(copy.path().to_owned())]).unwrap();
        assert_eq!(embedded, read);
    }
}

#[test]
fn only_compression_of_the_trading_pack_has_needs() {
    let packs = load(&[PackRef::BuiltIn("trading".to_owned())]).unwrap();
    let with_needs: Vec<_> = packs[0]
        .migrations
        .iter()
        .filter(|one| one.needs != Needs::default())
        .map(|one| one.id.what.as_str())
        .collect();
    assert_eq!(with_needs, ["compression"]);
}
