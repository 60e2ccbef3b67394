//! Finds where the statements of an SQL script begin, without understanding them.
//!
//! Knows comments, strings, quoted names, dollar quotes, parentheses and `BEGIN ATOMIC` bodies, so that a `begin`
//! inside any of those is not taken for a statement. The rules are PostgreSQL's:
//! <https://www.postgresql.org/docs/17/sql-syntax-lexical.html>.

/// How many words of a statement are kept.
const WORDS: usize = 2;

/// What `ALTER … DROP` can take away without taking away a column.
const KEEPS_COLUMN: [&str; 5] = ["constraint", "default", "expression", "identity", "not"];

/// What `DROP` takes away with the rows in it.
const WHOLES: [&str; 2] = ["schema", "table"];

/// Where a statement begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The line it begins on, from 1.
    pub(super) line: usize,
    /// Its first words in lower case; fewer when something else comes between.
    pub(super) words: Vec<String>,
    /// It takes away, or renames, what rows on their way to a replica may still need: tables and columns.
    pub(super) takes_away: bool,
}

/// All top-level statements, in order.
pub(super) fn statements(sql: &str) -> Vec<Statement> {
    let mut scan = Scan::default();
    let mut rest = sql;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (token, len) = token(rest, first);
        let (text, after) = rest.split_at(len);
        scan.take(token, text, line);
        line += text.matches('\n').count();
        rest = after;
    }
    scan.statements
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Blank,
    Word,
    Semicolon,
    Open,
    Close,
    Other,
}

/// The token at the front of `rest`, and its length in bytes.
fn token(rest: &str, first: char) -> (Token, usize) {
    match first {
        c if c.is_whitespace() || c == '\u{feff}' => (Token::Blank, c.len_utf8()),
        '-' if rest.starts_with("--") => (Token::Blank, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => (Token::Blank, block_comment(rest)),
        '\'' => (Token::Other, 1 + quoted(&rest[1..], '\'', false)),
        'e' | 'E' if rest[1..].starts_with('\'') => (Token::Other, 2 + quoted(&rest[2..], '\'', true)),
        '"' => (Token::Other, 1 + quoted(&rest[1..], '"', false)),
        '$' => (Token::Other, dollar_quoted(rest)),
        ';' => (Token::Semicolon, 1),
        '(' => (Token::Open, 1),
        ')' => (Token::Close, 1),
        c if is_word_start(c) => {
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Token::Word, len)
        }
        c => (Token::Other, c.len_utf8()),
    }
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Length of the block comment at the front; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length up to and including the closing quote. A doubled quote reads as two strings in a row, which comes to the same.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && has_escapes {
            chars.next();
        } else if c == quote {
            // Within an escape string the second half of a doubled quote still obeys backslashes.
            if has_escapes && text[at + 1..].starts_with(quote) {
                chars.next();
            } else {
                return at + 1;
            }
        }
    }
    text.len()
}

/// Length of the dollar-quoted string at the front, or 1 when the dollar is something else (`$1`).
fn dollar_quoted(text: &str) -> usize {
    let Some(tag_len) = text[1..].find('$') else {
        return 1;
    };
    let tag = &text[..tag_len + 2];
    let name = &tag[1..=tag_len];
    let is_tag = name.chars().all(|c| is_word(c) && c != '$') && !name.starts_with(char::is_numeric);
    if !is_tag {
        return 1;
    }
    let body = &text[tag.len()..];
    tag.len() + body.find(tag).map_or(body.len(), |at| at + tag.len())
}

/// What has been read so far.
#[derive(Default)]
struct Scan {
    statements: Vec<Statement>,
    /// A statement has begun and not ended.
    is_inside: bool,
    /// Only words have come in it so far.
    is_opening: bool,
    /// Open parentheses; a rule's actions are separated by semicolons inside them.
    parentheses: usize,
    /// Open `BEGIN ATOMIC` and, inside it, `CASE`.
    bodies: usize,
    /// The word just read.
    last: String,
}

impl Scan {
    fn take(&mut self, token: Token, text: &str, line: usize) {
        match token {
            Token::Blank => return,
            Token::Semicolon if self.parentheses == 0 && self.bodies == 0 => {
                self.is_inside = false;
                self.last.clear();
                return;
            }
            _ => {}
        }
        if !self.is_inside {
            self.is_inside = true;
            self.is_opening = true;
            self.statements.push(Statement { line, words: Vec::new(), takes_away: false });
        }
        match token {
            Token::Word => return self.word(&text.to_lowercase()),
            Token::Open => self.parentheses += 1,
            Token::Close => self.parentheses = self.parentheses.saturating_sub(1),
            Token::Blank | Token::Semicolon | Token::Other => {}
        }
        self.is_opening = false;
        self.last.clear();
    }

    fn word(&mut self, word: &str) {
        match word {
            "atomic" if self.last == "begin" => self.bodies = self.bodies.max(1),
            "case" if self.bodies > 0 => self.bodies += 1,
            "end" if self.bodies > 0 => self.bodies -= 1,
            _ => {}
        }
        if let Some(statement) = self.statements.last_mut() {
            let first = |word: &str| statement.words.first().is_some_and(|first| first == word);
            // `DROP COLUMN` may leave out its second word; what else can be dropped from a column has a word of its own.
            let drops_part = self.last == "drop" && !KEEPS_COLUMN.contains(&word);
            let renames = self.last == "rename" && word != "constraint";
            let is_in_alter = self.parentheses == 0 && first("alter");
            statement.takes_away |=
                (is_in_alter && (drops_part || renames)) || (first("drop") && WHOLES.contains(&word));
            if self.is_opening && statement.words.len() < WORDS {
                statement.words.push(word.to_owned());
            }
        }
        word.clone_into(&mut self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(sql: &str) -> Vec<String> {
        statements(sql).iter().map(|one| format!("{}:{}", one.line, one.words.join(" "))).collect()
    }

    #[test]
    fn finds_the_beginning_of_each_statement() {
        assert_eq!(
            heads("-- head\nselect 1;\n\n/* a; /* b; */ c; */ CREATE Table x (y int);;commit"),
            ["2:select", "4:create table", "4:commit"]
        );
    }

    #[test]
    fn comments_alone_are_no_statement() {
        for sql in ["", " \n\t", "-- select 1;", "/* select 1; */", ";;\n;", "/* open"] {
            assert!(statements(sql).is_empty(), "{sql}");
        }
    }

    #[test]
    fn a_begin_that_is_not_a_statement_is_not_taken_for_one() {
        for sql in [
            "select '; begin; ''; commit;'",
            r"select E'\'; begin;' 'x; commit'",
            r#"select "; begin; " from t"#,
            "do $$ begin; commit; end $$",
            "do $a$ $$; begin; $b$ $a$",
            "select 1 -- ; begin\n",
            "create rule r as on insert to t do (delete from a; commit)",
            "create function f() returns int begin atomic select case when a then 1 end; select 2; end",
            "select a$b$ from t where x = $1 or y = $2",
        ] {
            assert_eq!(heads(sql).len(), 1, "{sql}");
        }
    }

    #[test]
    fn what_takes_tables_or_columns_away_is_told_from_what_does_not() {
        let takes_away = |sql: &str| statements(sql).iter().any(|one| one.takes_away);
        for sql in [
            "drop table a.b",
            "DROP TABLE IF EXISTS a",
            "drop schema s cascade",
            "alter table a drop column b",
            "alter table only a.b drop b, add c int",
            "alter table a add c int; alter table a alter c set default 1, drop if exists d",
            "alter table a rename column b to c",
            "alter table a rename to b",
        ] {
            assert!(takes_away(sql), "{sql}");
        }
        for sql in [
            "alter table a add column b int",
            "alter table a alter b drop not null, alter c drop default",
            "alter table a drop constraint a_pkey",
            "alter table a alter b drop identity",
            "alter table a rename constraint b to c",
            "drop index i",
            "drop view v",
            "create table a (drop_column int)",
            "comment on table a is 'drop table'",
            "do $$ begin execute 'drop table a'; end $$",
        ] {
            assert!(!takes_away(sql), "{sql}");
        }
    }

    #[test]
    fn what_follows_a_body_is_a_statement_again() {
        assert_eq!(
            heads("create function f() begin atomic select case when a then 1 end; end;\nrollback;"),
            ["1:create function", "2:rollback"]
        );
        assert_eq!(heads("select 'a\\'; commit"), ["1:select", "1:commit"]);
        assert_eq!(heads("select $1; commit; select $2"), ["1:select", "1:commit", "1:select"]);
    }

    #[test]
    fn scripts_cut_off_anywhere_do_not_panic() {
        let sql = "select E'ä\\''||$ü$;$ü$ /* é /* */ */ \"ö\"; begin atomic case end; (";
        for (at, _) in sql.char_indices() {
            statements(&sql[..at]);
            statements(&sql[at..]);
        }
    }
}
