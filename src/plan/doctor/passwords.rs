//! Are the passwords there, and only for their owner?

use std::path::Path;

use super::facts::{FileSeen, PasswordsSeen};
use super::{Check, Finding};
use crate::model::seen::Seen;

/// Bits that let others than the owner in.
const OTHERS: u32 = 0o077;

/// State directory and password file.
pub fn passwords(seen: &PasswordsSeen, is_provisioned: bool) -> Vec<Finding> {
    let PasswordsSeen { dir_path, dir, file_path, file, unusable } = seen;
    let mut findings = Vec::new();
    let (Seen::Present(_), Seen::Present(_)) = (dir, file) else {
        let unknown = [(dir_path, dir), (file_path, file)].into_iter().find_map(|(path, seen)| match seen {
            Seen::Unknown { because } => Some((path, because)),
            _ => None,
        });
        return vec![match unknown {
            Some((path, because)) => Finding::problem(
                Check::Passwords,
                format!("{} cannot be looked at: {because}", path.display()),
                "make it readable for this user, or name another place with --state-dir",
            ),
            None if is_provisioned => Finding::problem(
                Check::Passwords,
                format!("the cluster exists and its passwords are not at {}", file_path.display()),
                "name the right place with --state-dir; `hypertide up` fetches them from a node again",
            ),
            None => {
                Finding::ok(Check::Passwords, format!("no passwords yet; `hypertide up` makes {}", file_path.display()))
            }
        }];
    };
    for (path, file, wanted) in [(dir_path, dir, 0o700), (file_path, file, 0o600)] {
        findings.extend(file.present().and_then(|file| access(path, *file, wanted)));
    }
    if let Some(mistake) = unusable {
        let help = mistake.help.clone();
        findings.push(Finding { help, ..Finding::problem(Check::Passwords, &mistake.text, "") });
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Passwords, format!("{} is yours alone", file_path.display())));
    }
    findings
}

fn access(path: &Path, file: FileSeen, wanted: u32) -> Option<Finding> {
    let FileSeen { mode, is_ours } = file;
    let path = path.display();
    if !is_ours {
        let text = format!("{path} belongs to another user");
        let help = "run hypertide as the user who made it, or `chown` it";
        // Root can go on; whether anybody else can read it is told apart from this.
        return Some(Finding::warning(Check::Passwords, text, help));
    }
    if mode & OTHERS != 0 {
        let text = format!("{path} has mode {mode:04o}: others on this host may get at the passwords");
        return Some(Finding::problem(Check::Passwords, text, format!("`chmod {wanted:o} {path}`")));
    }
    if mode & wanted != wanted {
        let text = format!("{path} has mode {mode:04o}, so hypertide cannot change it");
        return Some(Finding::warning(Check::Passwords, text, format!("`chmod {wanted:o} {path}`")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{self, Ok, Problem, Warning};
    use super::super::facts::Mistake;
    use super::*;

    fn seen(dir: Seen<FileSeen>, file: Seen<FileSeen>) -> PasswordsSeen {
        PasswordsSeen { dir_path: "/s".into(), dir, file_path: "/s/pgpass".into(), file, unusable: None }
    }

    fn mode(mode: u32) -> Seen<FileSeen> {
        Seen::Present(FileSeen { mode, is_ours: true })
    }

    #[test]
    fn every_state_of_the_directory_and_file_is_judged() {
        let theirs = Seen::Present(FileSeen { mode: 0o600, is_ours: false });
        let table: [(PasswordsSeen, bool, Severity, &str); 10] = [
            (seen(mode(0o700), mode(0o600)), true, Ok, "/s/pgpass is yours alone"),
            (seen(Seen::Absent, Seen::Absent), false, Ok, "no passwords yet"),
            (seen(Seen::Absent, Seen::Absent), true, Problem, "passwords are not at /s/pgpass"),
            (seen(mode(0o700), Seen::Absent), true, Problem, "passwords are not at /s/pgpass"),
            (seen(mode(0o755), mode(0o600)), true, Problem, "/s has mode 0755"),
            (seen(mode(0o700), mode(0o640)), false, Problem, "/s/pgpass has mode 0640"),
            (seen(mode(0o700), mode(0o400)), true, Warning, "/s/pgpass has mode 0400, so hypertide cannot change it"),
            (seen(mode(0o700), theirs), true, Warning, "/s/pgpass belongs to another user"),
            (seen(mode(0o700), Seen::unknown("denied")), false, Problem, "/s/pgpass cannot be looked at: denied"),
            (seen(Seen::unknown("denied"), Seen::Absent), false, Problem, "/s cannot be looked at: denied"),
        ];
        for (passwords_seen, is_provisioned, severity, text) in table {
            let found = passwords(&passwords_seen, is_provisioned);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].severity, found[0].text.contains(text)), (severity, true), "{found:?}");
        }
    }

    #[test]
    fn a_file_without_every_role_is_a_problem_with_its_own_help() {
        let mut seen = seen(mode(0o700), mode(0o600));
        seen.unusable = Some(Mistake { text: "holds no password for app".into(), help: Some("delete it".into()) });
        let found = passwords(&seen, true);
        assert_eq!((found[0].severity, found[0].help.as_deref()), (Problem, Some("delete it")));
    }
}
