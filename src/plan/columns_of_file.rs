//! Which column of a table each column of a file goes into.
//!
//! In: the file's header, the table's columns, and what was said about names. Out: a column of the table for each that goes
//! somewhere, or every problem at once.

/// What was said about names, as typed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    /// Names of the file's columns, each with the table's name for it.
    pub map: &'a [(String, String)],
    /// Columns of the file that go nowhere.
    pub ignore: &'a [String],
}

/// Pairs of a position in the file and one in the table, in the order of the file. A name is the same but for capitals and the
/// blanks around it when no column has exactly that name.
pub fn matched(header: &[String], table: &[String], said: Said<'_>) -> Result<Vec<(usize, usize)>, Vec<String>> {
    let mut problems = Vec::new();
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for typed in said.map.iter().map(|(from, _)| from).chain(said.ignore) {
        if !header.contains(typed) {
            problems.push(format!("the file has no column `{typed}`"));
        }
    }
    for (position, name) in header.iter().enumerate() {
        if header[..position].contains(name) {
            problems.push(format!("the file has two columns `{name}`"));
        }
        if said.ignore.contains(name) {
            continue;
        }
        let mapped = said.map.iter().find(|(from, _)| from == name).map(|(_, to)| to);
        let wanted = mapped.unwrap_or(name);
        let loose = |column: &String| column.to_lowercase() == wanted.trim().to_lowercase();
        let found = table.iter().position(|column| column == wanted).or_else(|| table.iter().position(loose));
        match found {
            Some(column) if pairs.iter().any(|(_, taken)| *taken == column) => {
                problems.push(format!("two columns of the file go into `{}`", table[column]));
            }
            Some(column) => pairs.push((position, column)),
            None => problems.push(format!("the table has no column `{wanted}` that can be given a value")),
        }
    }
    if pairs.is_empty() && problems.is_empty() {
        problems.push("no column of the file goes anywhere".to_owned());
    }
    if problems.is_empty() { Ok(pairs) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_matched_exactly_first_and_then_but_for_capitals_and_blanks() {
        let table = names(&["timestamp", "Close", "close"]);
        assert_eq!(
            matched(&names(&[" Timestamp", "close", "Close"]), &table, Said::default()),
            Ok(vec![(0, 0), (1, 2), (2, 1)])
        );
        let map = [("t".to_owned(), "timestamp".to_owned())];
        let ignore = names(&["note"]);
        let said = Said { map: &map, ignore: &ignore };
        assert_eq!(matched(&names(&["note", "t"]), &table, said), Ok(vec![(1, 0)]));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let map = [("x".to_owned(), "close".to_owned())];
        let told =
            matched(&names(&["volum", "close", "CLOSE", "close"]), &names(&["close"]), Said { map: &map, ignore: &[] });
        let problems = [
            "the file has no column `x`",
            "the table has no column `volum` that can be given a value",
            "two columns of the file go into `close`",
            "the file has two columns `close`",
            "two columns of the file go into `close`",
        ];
        assert_eq!(told, Err(problems.map(str::to_owned).to_vec()));
        assert_eq!(
            matched(&names(&[]), &names(&["a"]), Said::default()),
            Err(vec!["no column of the file goes anywhere".to_owned()])
        );
    }
}
