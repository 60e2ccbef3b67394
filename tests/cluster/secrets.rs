//! No password is to be found anywhere but in the password files.

use std::process::Command;

use crate::world::{World, docker};

#[tokio::test]
async fn no_password_shows_in_inspect_processes_logs_plans_or_errors() {
    let world = World::new("");
    // Statements are logged, so that one which carried a password would show.
    world.configure("preset: {log_statement: all, log_min_duration_statement: 0}\n");
    world.ok(&["-vv", "up"]);
    world.ok(&["replica", "add", "replica-2", "--mode", "physical", "--port", &world.ports[2].to_string()]);

    let pgpass = std::fs::read_to_string(world.state_dir().join("pgpass")).unwrap();
    let passwords: Vec<&str> = pgpass.lines().filter_map(|line| line.rsplit(':').next()).collect();
    assert_eq!(passwords.len(), 6);

    let mut places: Vec<(String, String)> = Vec::new();
    for node in ["primary-1", "replica-1", "replica-2", "agent"] {
        let container = world.container(node);
        let inspected = docker().inspect_container(&container, None).await.unwrap();
        places.push((format!("inspect {container}"), serde_json::to_string(&inspected).unwrap()));
        let top = docker().top_processes(&container, None).await.unwrap();
        places.push((format!("top {container}"), serde_json::to_string(&top).unwrap()));
    }
    let processes = Command::new("sh").args(["-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).output().unwrap();
    places.push(("every command line on the host".into(), String::from_utf8_lossy(&processes.stdout).into_owned()));
    let verbs: [&[&str]; 9] = [
        &["logs", "--tail", "100000"],
        &["up", "--plan"],
        &["up", "--plan", "--json"],
        &["-vvv", "up"],
        &["-vvv", "status", "--json"],
        &["-vvv", "doctor"],
        &["-vvv", "replication", "resync", "replica-1"],
        &["psql", "primary", "--", "-c", "select * from pg_subscription; select nonsense"],
        &["psql", "replica-1", "--", "-c", "select subconninfo from pg_subscription"],
    ];
    for verb in verbs {
        let run = world.run(verb);
        places.push((format!("{verb:?}"), run.stdout + &run.stderr));
    }
    // With a wrong password on file every verb fails, and says so without it.
    let broken = pgpass.replace(passwords[0], "wrong-password");
    std::fs::write(world.state_dir().join("pgpass"), broken.replace(passwords[2], "wrong-password")).unwrap();
    let run = world.run(&["-vvv", "status"]);
    places.push(("status with a wrong password".into(), run.stdout + &run.stderr));

    let statements = &places.iter().find(|(place, _)| place.contains("100000")).unwrap().1;
    assert!(statements.contains("create publication"), "statements are logged, or this test proves nothing");
    for (place, text) in &places {
        for password in passwords.iter().copied().chain(["wrong-password"]) {
            assert!(!text.contains(password), "a password shows in {place}");
        }
    }
}
