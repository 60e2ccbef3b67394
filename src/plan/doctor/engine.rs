//! Is there a Docker engine, and may we use it?

use super::facts::{Answer, EngineFacts, EngineSeen};
use super::{Check, Finding};

/// The oldest API that is spoken: engine 20.10.
const LEAST_API: (u32, u32) = (1, 41);

/// The engine.
pub fn engine(engine: &EngineSeen) -> Finding {
    let EngineSeen { address, is_from_environment, other_sockets, answer } = engine;
    let source = if *is_from_environment { " (from DOCKER_HOST)" } else { "" };
    let at = format!("{address}{source}");
    let elsewhere = other_sockets.first().map(|socket| match is_from_environment {
        true => format!("; there is a socket at {socket}: unset DOCKER_HOST or point it there"),
        false => format!("; there is a socket at {socket}: try `export DOCKER_HOST=unix://{socket}`"),
    });
    let or_elsewhere = |help: &str| format!("{help}{}", elsewhere.as_deref().unwrap_or_default());
    let start = "start Docker (`systemctl start docker`), or point DOCKER_HOST at an engine that runs";
    match answer {
        Answer::Engine(facts) => version(facts, &at),
        Answer::NoSocket => {
            let help = match is_from_environment {
                true => "unset DOCKER_HOST, or set it to the engine's address",
                false => "install and start Docker (`systemctl start docker`), or set DOCKER_HOST",
            };
            Finding::problem(Check::Engine, format!("there is no Docker socket at {at}"), or_elsewhere(help))
        }
        Answer::Forbidden { group, is_member } => forbidden(&at, group.as_deref(), *is_member),
        Answer::NobodyListens => {
            let text = format!("nothing listens on the Docker socket {at}");
            Finding::problem(Check::Engine, text, or_elsewhere(start))
        }
        Answer::Failed { because } => {
            let text = format!("no Docker engine can be used at {at}: {because}");
            let help = match is_from_environment {
                true => "set DOCKER_HOST to unix:///path/to/docker.sock or tcp://host:port, or unset it",
                false => start,
            };
            Finding::problem(Check::Engine, text, or_elsewhere(help))
        }
    }
}

fn forbidden(at: &str, group: Option<&str>, is_member: bool) -> Finding {
    let text = match group {
        Some(group) => format!("this user may not use the Docker socket {at}, which belongs to group `{group}`"),
        None => format!("this user may not use the Docker socket {at}"),
    };
    let help = match group {
        Some(group) if is_member => {
            format!("you are in group `{group}` since this session began: log out and in again, or `newgrp {group}`")
        }
        // Joining root's group would give away far more than Docker.
        Some(group) if group != "root" => {
            format!("`sudo usermod -aG {group} $USER`, then log in again; or run as root")
        }
        _ => "run as root, or let Docker's socket belong to a group `docker` that you are in".to_owned(),
    };
    Finding::problem(Check::Engine, text, help)
}

fn version(facts: &EngineFacts, at: &str) -> Finding {
    let EngineFacts { version, api, .. } = facts;
    let number = api.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let (major, minor) = LEAST_API;
    match number {
        Some(number) if number >= LEAST_API => {
            Finding::ok(Check::Engine, format!("Docker {version} (API {api}) answers at {at}"))
        }
        Some(_) => Finding::problem(
            Check::Engine,
            format!("Docker {version} at {at} speaks API {api}, and {major}.{minor} is needed"),
            "upgrade Docker to 20.10 or newer",
        ),
        None => Finding::warning(
            Check::Engine,
            format!("Docker {version} answers at {at} with an odd API version `{api}`"),
            format!("hypertide is tested with engines of API {major}.{minor} and newer"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{self, Ok, Problem, Warning};
    use super::*;

    fn judged(answer: Answer, is_from_environment: bool, other_sockets: &[&str]) -> Finding {
        let seen = EngineSeen {
            address: "unix:///run/x.sock".into(),
            is_from_environment,
            other_sockets: other_sockets.iter().map(|&socket| socket.to_owned()).collect(),
            answer,
        };
        engine(&seen)
    }

    fn answers(api: &str) -> Answer {
        Answer::Engine(EngineFacts { version: "1".into(), api: api.into(), ..EngineFacts::default() })
    }

    fn forbidden(group: Option<&str>, is_member: bool) -> Answer {
        Answer::Forbidden { group: group.map(Into::into), is_member }
    }

    #[test]
    fn every_answer_has_a_severity_and_says_what_to_do() {
        let failed = Answer::Failed { because: "no route".into() };
        let table: [(Answer, bool, Severity, &str, &str); 13] = [
            (answers("1.41"), false, Ok, "Docker 1 (API 1.41) answers at unix:///run/x.sock", ""),
            (answers("1.100"), false, Ok, "API 1.100", ""),
            (answers("2.0"), true, Ok, "(from DOCKER_HOST)", ""),
            (answers("1.40"), false, Problem, "1.41 is needed", "upgrade"),
            (answers("new"), false, Warning, "odd API version `new`", "tested"),
            (Answer::NoSocket, false, Problem, "there is no Docker socket", "install and start"),
            (Answer::NoSocket, true, Problem, "(from DOCKER_HOST)", "unset DOCKER_HOST"),
            (Answer::NobodyListens, false, Problem, "nothing listens", "systemctl start docker"),
            (forbidden(Some("docker"), false), false, Problem, "belongs to group `docker`", "usermod -aG docker"),
            (forbidden(Some("docker"), true), false, Problem, "belongs to group `docker`", "log out and in again"),
            (forbidden(Some("root"), false), false, Problem, "belongs to group `root`", "run as root, or let"),
            (forbidden(None, false), true, Problem, "may not use", "run as root, or let"),
            (failed, true, Problem, "no route", "tcp://host:port"),
        ];
        for (answer, is_from_environment, severity, text, help) in table {
            let shown = format!("{answer:?}");
            let finding = judged(answer, is_from_environment, &[]);
            assert_eq!(finding.severity, severity, "{shown}");
            assert!(finding.text.contains(text), "{shown}: {}", finding.text);
            assert!(finding.help.unwrap_or_default().contains(help), "{shown}");
        }
    }

    #[test]
    fn a_socket_elsewhere_is_offered_when_the_usual_one_is_missing() {
        let help = |from| judged(Answer::NoSocket, from, &["/home/a/docker.sock"]).help.expect("help");
        assert!(help(false).ends_with("try `export DOCKER_HOST=unix:///home/a/docker.sock`"), "{}", help(false));
        assert!(help(true).ends_with("unset DOCKER_HOST or point it there"), "{}", help(true));
    }
}
