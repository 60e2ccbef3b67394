//! The verbs as people type them, on the shared cluster: back up, check, drill, restore, and be refused.

use serde_json::Value;

use crate::shared::shared;
use crate::world::{Run, World, docker};

/// A run of the program with a store of the test's own.
fn typed(world: &World, store: &str, args: &[&str]) -> Run {
    let args: Vec<&str> = ["--json"].into_iter().chain(args.iter().copied()).chain(["--store", store]).collect();
    world.run(&args)
}

fn good(world: &World, store: &str, args: &[&str]) -> Value {
    let run = typed(world, store, args);
    assert_eq!(run.code, 0, "{args:?}\n{}{}", run.stdout, run.stderr);
    run.json()
}

#[test]
fn each_kind_is_backed_up_checked_drilled_and_restored_by_the_verbs() {
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let store = format!("file://{}", dir.path().display());
    let kinds: [&[&str]; 5] = [
        &["--kind", "full"],
        &["--kind", "full", "--parallel", "2"],
        &["--kind", "schema"],
        &["--kind", "tables", "--tables", "shop.orders"],
        &["--kind", "globals"],
    ];
    for kind in kinds {
        let args: Vec<&str> = ["backup", "run"].iter().chain(kind).copied().collect();
        good(world, &store, &args);
        let checked = good(world, &store, &["backup", "verify"]);
        assert_eq!(checked["checks"][0]["outcome"], "good", "{kind:?} {checked:#}");
        let drilled = good(world, &store, &["backup", "drill"]);
        assert_eq!(drilled["drills"][0]["outcome"], "equal", "{kind:?} {drilled:#}");
    }
    let listed = good(world, &store, &["backup", "list"]);
    let states: Vec<&str> =
        listed["backups"].as_array().unwrap().iter().filter_map(|one| one["state"].as_str()).collect();
    assert_eq!(states, ["verified"; 5], "{listed:#}");

    // Into a database of the primary; what is there is refused until its name is typed.
    let into = ["restore", "latest", "--into", "database:shop_copy"];
    let planned = good(world, &store, &[&into[..], &["--plan"]].concat());
    assert!(planned["steps"].as_array().unwrap().len() > 2, "{planned:#}");
    let restored = good(world, &store, &into);
    assert_eq!(restored["outcome"], "restored", "{restored:#}");
    let count = ["psql", "primary", "--", "-AtqX", "-d", "shop_copy", "-c", "select count(*) from shop.orders"];
    let orders = world.ok(&count).stdout;
    assert_eq!(orders.trim(), world.sql("primary", "select count(*) from shop.orders"));
    let refused = typed(world, &store, &into);
    assert_eq!((refused.code, &refused.json()["error"]["refusals"][0]["reason"]), (3, &Value::from("exists")));
    let refused = typed(world, &store, &[&into[..], &["--replace", "other"]].concat());
    assert_eq!((refused.code, &refused.json()["error"]["refusals"][0]["reason"]), (3, &Value::from("other_name")));
    good(world, &store, &[&into[..], &["--replace", "shop_copy"]].concat());

    let full = listed["backups"].as_array().unwrap().iter().rfind(|one| one["kind"] == "full").unwrap();
    let id = full["id"].as_str().unwrap();
    let reason = |args: &[&str]| {
        let run = typed(world, &store, &[&["restore", id][..], args].concat());
        assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
        run.json()["error"]["refusals"][0]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&["--into", "database:x", "--to-time", "2026-01-01T00:00:00Z"]), "not_physical");
    assert_eq!(reason(&["--into", "new:primary-1"]), "foreign");
    let taken = world.ports[0].to_string();
    assert_eq!(reason(&["--into", "new:old", "--port", &taken]), "port_taken");

    // A server of its own, which the cluster does not take for a node and `destroy` takes with it.
    let port = world.ports[3].to_string();
    let restored = good(world, &store, &["restore", id, "--into", "new:old", "--port", &port]);
    assert_eq!(restored["outcome"], "restored", "{restored:#}");
    let nodes = world.status()["nodes"].as_array().unwrap().len();
    assert_eq!(nodes, 2);
    world.is_converged();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let container = restored["container"].as_str().unwrap();
        let labels = docker().inspect_container(container, None).await.unwrap().config.unwrap().labels.unwrap();
        assert_eq!(labels["hypertide.kind"], "restored");
        assert_eq!(labels["hypertide.backup"], id);
        let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        docker().remove_container(container, Some(options)).await.unwrap();
    });
}

#[test]
fn a_store_that_is_not_there_or_holds_nothing_is_told() {
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let empty = format!("file://{}", dir.path().display());
    for verb in [&["backup", "verify"][..], &["backup", "drill"], &["restore", "--into", "database:x"]] {
        let run = typed(world, &empty, verb);
        assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("no backup"), "{}", run.stderr);
        assert_ne!(typed(world, "file:///nowhere/at/all", verb).code, 0);
    }
    let run = typed(world, &empty, &["restore", "--into", "somewhere"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}
