//! What the README tells people to type works as it says.

use std::process::Command;

use crate::world::{HYPERTIDE, Run, World};

const README: &str = include_str!("../../README.md");

/// Commands in fenced `sh` blocks, one a line, comments left out.
fn commands() -> Vec<&'static str> {
    let mut commands = Vec::new();
    let mut is_inside = false;
    for line in README.lines() {
        match line.trim() {
            "```sh" => is_inside = true,
            "```" => is_inside = false,
            line if is_inside && !line.is_empty() && !line.starts_with('#') => {
                commands.push(line.split(" #").next().unwrap_or(line).trim());
            }
            _ => {}
        }
    }
    commands
}

/// Runs every command of the README in its order, in the repository, against a cluster of the test's own.
#[tokio::test]
async fn every_command_of_the_readme_works() {
    let world = World::new("");
    let commands = commands();
    assert!(commands.contains(&"make up") && commands.contains(&"make test"), "{commands:?}");
    let bin = std::path::Path::new(HYPERTIDE).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    for command in commands {
        // This test is part of `make test`; a clone is where the reader already is.
        if command == "make test" || command.starts_with("git clone") || command.starts_with("cd ") {
            continue;
        }
        // The page tells the default address, which may be somebody else's here.
        let command = command.replace("127.0.0.1:9187", &format!("127.0.0.1:{}", world.agent_port));
        let run = Run::of(
            &Command::new("sh")
                .args(["-euc", &command])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .env("PATH", &path)
                // What is under test is there already; `make lint` sees that it builds without what tests bring along.
                .env("HYPERTIDE", HYPERTIDE)
                .env("HYPERTIDE_CONFIG", world.config())
                .stdin(std::process::Stdio::null())
                .output()
                .unwrap(),
        );
        assert_eq!(run.code, 0, "$ {command}\n{}{}", run.stdout, run.stderr);
        if command == "make up" {
            assert_eq!(world.status()["health"], "healthy");
        }
    }
    assert_eq!(world.leftovers().await, Vec::<String>::new(), "the README ends by taking everything away");
}
