//! `doctor`: what is wrong with this host or cluster, and what to do about it.

use std::io::IsTerminal;

use serde::Serialize;

use super::args::Cli;
use super::context::state_dir;
use super::failure::Failure;
use super::{exit, render};
use crate::examine;
use crate::plan::doctor::{self, Finding, Severity};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    findings: &'a [Finding],
}

/// Runs the verb. Never fails: whatever is missing is a finding.
///
/// Exit code 0 when no finding is a problem, 2 when the configuration is one, else 1.
pub async fn run(cli: &Cli) -> Result<u8, Failure> {
    let config = examine::read(cli.config.as_deref());
    let state_dir = state_dir(cli.state_dir.as_deref(), config.origin.as_deref());
    let is_broken = !config.seen.mistakes.is_empty();
    let (desired, packs) = (config.desired.as_ref(), config.packs.as_deref());
    let examined = examine::examine(config.seen, desired, packs, &state_dir).await;
    let findings = doctor::findings(&examined, desired, packs);
    let is_healthy = doctor::is_healthy(&findings);
    if cli.json {
        render::json(&Report { healthy: is_healthy, findings: &findings });
    } else {
        render::line(text(&findings, has_color()));
    }
    Ok(match (is_broken, is_healthy) {
        (true, _) => exit::USAGE,
        (false, true) => exit::DONE,
        (false, false) => exit::FAILED,
    })
}

fn has_color() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// One line a finding, its help below it, and the sum at the end.
fn text(findings: &[Finding], has_color: bool) -> String {
    let mut lines = Vec::new();
    for Finding { check, severity, text, help } in findings {
        lines.push(format!("{} {check:<12} {text}", word(*severity, has_color)));
        lines.extend(help.iter().map(|help| format!("{:21} help: {help}", "")));
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (problems, warnings) = (count(Severity::Problem), count(Severity::Warning));
    lines.push(String::new());
    lines.push(match (problems, warnings) {
        (0, 0) => "everything is well".to_owned(),
        (0, warnings) => format!("no problem, {}", counted(warnings, "warning")),
        (problems, warnings) => format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning")),
    });
    lines.join("\n")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn word(severity: Severity, has_color: bool) -> String {
    let code = match severity {
        Severity::Ok => "32",
        Severity::Warning => "33",
        Severity::Problem => "31",
    };
    if has_color { format!("\x1b[{code}m{severity:<8}\x1b[0m") } else { format!("{severity:<8}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::doctor::Check;

    fn finding(check: Check, severity: Severity, text: &str, help: Option<&str>) -> Finding {
        Finding { check, severity, text: text.into(), help: help.map(Into::into) }
    }

    #[test]
    fn people_see_severity_check_sentence_and_help() {
        let findings = [
            finding(Check::Engine, Severity::Ok, "Docker answers", None),
            finding(Check::DefaultPort, Severity::Warning, "another server answers", Some("name the port")),
            finding(Check::Disk, Severity::Problem, "only 1 MiB", Some("make room")),
        ];
        insta::assert_snapshot!(text(&findings, false), @r"
        ok       engine       Docker answers
        warning  default_port another server answers
                              help: name the port
        problem  disk         only 1 MiB
                              help: make room

        1 problem, 1 warning
        ");
        assert!(text(&findings[..1], false).ends_with("\neverything is well"));
        assert!(text(&findings[..2], false).ends_with("\nno problem, 1 warning"));
        assert!(text(&findings, true).starts_with("\x1b[32mok      \x1b[0m engine"));
    }

    #[test]
    fn scripts_see_the_same_words() {
        let finding = finding(Check::DefaultPort, Severity::Problem, "t", None);
        let report = Report { healthy: false, findings: &[finding] };
        assert_eq!(
            serde_json::to_string(&report).expect("serialises"),
            r#"{"healthy":false,"findings":[{"check":"default_port","severity":"problem","text":"t","help":null}]}"#
        );
    }
}
