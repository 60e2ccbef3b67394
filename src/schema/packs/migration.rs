//! `NNN_what.sql`: its name, what its head says it needs, and that hypertide can run it in one transaction.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::files::{Files, meant};
use super::manifest;
use super::problem::PackProblem;
use super::script::{self, Statement};
use crate::config::pack_jobs;
use crate::model::pack::{Migration, MigrationId, Needs};

/// The file that explains a pack to people.
const README: &str = "README.md";

/// What a migration can need, as its head says it.
const NEEDS: [&str; 2] = ["community", "no-logical-replica"];

/// Every migration of a pack, in the order of their numbers.
pub(super) fn read_all(files: &Files, pack: &str, problems: &mut Vec<PackProblem>) -> Vec<Migration> {
    let mut by_number: BTreeMap<u32, (&String, Migration)> = BTreeMap::new();
    for (file, bytes) in &files.entries {
        if file == manifest::FILE || file == README {
            continue;
        }
        let path = files.path(file);
        if file == pack_jobs::FILE {
            // Those of the packs in the binary are read with the configuration.
            if !files.is_built_in {
                problems.push(PackProblem::Jobs { path });
            }
            continue;
        }
        let (Some((number, what)), Some(bytes)) = (parse_name(file), bytes) else {
            problems.push(PackProblem::Stray { path });
            continue;
        };
        let Ok(sql) = std::str::from_utf8(bytes) else {
            problems.push(PackProblem::NotUtf8 { path });
            continue;
        };
        let statements = script::statements(sql);
        check_script(&path, &statements, problems);
        let migration = Migration {
            id: MigrationId { pack: pack.to_owned(), number, what: what.to_owned() },
            checksum: checksum(bytes),
            needs: needs(&path, sql, problems),
            is_primary_first: statements.iter().any(|statement| statement.takes_away),
            sql: sql.to_owned(),
        };
        if let Some((first, _)) = by_number.get(&number) {
            problems.push(PackProblem::SameNumber {
                place: files.place.clone(),
                first: (*first).clone(),
                second: file.clone(),
            });
        } else {
            by_number.insert(number, (file, migration));
        }
    }
    by_number.into_values().map(|(_, migration)| migration).collect()
}

/// `007_words-and_words.sql` is 7 and the words; numbers begin at 001.
fn parse_name(file: &str) -> Option<(u32, &str)> {
    let (number, what) = file.strip_suffix(".sql")?.split_once('_')?;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let is_number = number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit());
    let is_what = !what.is_empty() && what.chars().all(is_word);
    let number = number.parse().ok().filter(|&number| number > 0)?;
    (is_number && is_what).then_some((number, what))
}

fn checksum(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Reads `-- needs: …` from the head: the comments and blank lines before the first statement. A line that looks like
/// it anywhere else, or spelt otherwise, is a problem, since a need that goes unread can lose data.
fn needs(path: &str, sql: &str, problems: &mut Vec<PackProblem>) -> Needs {
    let mut needs = Needs::default();
    let mut is_head = true;
    for (line, text) in (1..).zip(sql.lines()) {
        let text = text.trim();
        is_head &= text.is_empty() || text.starts_with("--");
        if is_head && let Some(words) = text.strip_prefix("-- needs:") {
            for need in words.split(',').map(str::trim) {
                match need {
                    "community" => needs.community = true,
                    "no-logical-replica" => needs.no_logical_replica = true,
                    unknown => problems.push(PackProblem::UnknownNeed {
                        path: path.to_owned(),
                        line,
                        need: unknown.to_owned(),
                        meant: meant(unknown, NEEDS),
                    }),
                }
            }
        } else if looks_like_needs(text) {
            problems.push(PackProblem::StrayNeeds { path: path.to_owned(), line });
        }
    }
    needs
}

fn looks_like_needs(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    let is_comment = ["--", "/*", "*"].iter().any(|start| line.starts_with(start));
    let text = line.trim_start_matches(|c: char| "-/*".contains(c) || c.is_whitespace());
    let word = text.split(':').next().unwrap_or_default().trim_end();
    is_comment
        && text.contains(':')
        && ["need", "needs", "require", "requires"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// One transaction around the whole file is hypertide's to open and to close.
fn check_script(path: &str, statements: &[Statement], problems: &mut Vec<PackProblem>) {
    if statements.is_empty() {
        problems.push(PackProblem::Empty { path: path.to_owned() });
    }
    for statement in statements.iter().filter(|one| ends_transaction(one)) {
        problems.push(PackProblem::Transaction {
            path: path.to_owned(),
            line: statement.line,
            statement: statement.words.join(" ").to_uppercase(),
        });
    }
}

fn ends_transaction(statement: &Statement) -> bool {
    let mut words = statement.words.iter().map(String::as_str);
    match words.next() {
        Some("begin" | "commit" | "end" | "rollback" | "abort") => true,
        Some("start" | "prepare") => words.next() == Some("transaction"),
        _ => false,
    }
}
