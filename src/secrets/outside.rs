//! Passwords for servers outside the cluster: read from files of the user's own, and put into a password file on the
//! primary's volume that libpq reads when it connects.

use std::fs;
use std::path::Path;

use crate::model::outside::{DeclaredSubscription, Origin, PasswordSeen};
use crate::postgres::password::Password;

/// The password in a file, which holds one line and nothing else.
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub fn read(path: &Path) -> Result<Password, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        Err(format!("{} is empty", path.display()))
    } else if password.contains(['\n', '\r', '\0']) {
        Err(format!("{} holds more than one line", path.display()))
    } else {
        Ok(Password::new(password))
    }
}

/// How a node's password file, as it is, compares with the file of a subscription.
pub fn compare(on_node: &str, declared: &DeclaredSubscription) -> PasswordSeen {
    match read(&declared.from.password_file) {
        Err(because) => PasswordSeen::Unreadable { because },
        Ok(password) => {
            let (login, line) = (login(&declared.from), line(&declared.from, &password));
            // libpq takes the first line that fits.
            let found = on_node.lines().find(|found| found.starts_with(&login));
            if found == Some(line.as_str()) { PasswordSeen::Given } else { PasswordSeen::Outdated }
        }
    }
}

/// The text of a password file with these passwords in it, instead of others for the same logins.
pub fn merged(on_node: &str, given: &[(&Origin, Password)]) -> String {
    let is_kept = |line: &&str| given.iter().all(|(from, _)| !line.starts_with(&login(from)));
    let mut lines: Vec<String> = on_node.lines().filter(is_kept).map(str::to_owned).collect();
    for (from, password) in given {
        let line = line(from, password);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    // Every line has its end.
    lines.push(String::new());
    lines.join("\n")
}

/// Format: <https://www.postgresql.org/docs/17/libpq-pgpass.html>.
fn line(from: &Origin, password: &Password) -> String {
    format!("{}{}", login(from), escaped(password.reveal()))
}

fn login(from: &Origin) -> String {
    format!("{}:{}:{}:{}:", escaped(&from.host), from.port, escaped(&from.database), escaped(&from.user))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;
    use crate::model::names::Ident;
    use crate::model::outside::Reclaim;

    fn origin(host: &str, file: PathBuf) -> Origin {
        Origin { host: host.into(), port: 5432, database: "ref".into(), user: "me".into(), password_file: file }
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("password");
        fs::write(&path, text).expect("writable");
        (directory, path)
    }

    #[test]
    fn a_password_file_holds_one_line() {
        for (text, password) in [("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), (" a ", " a ")] {
            let (_directory, path) = file(text);
            assert_eq!(read(&path).expect(text).reveal(), password);
        }
        for (text, said) in [("", "is empty"), ("\n", "is empty"), ("a\nb\n", "more than one line")] {
            let (_directory, path) = file(text);
            let error = read(&path).expect_err(text);
            assert!(error.contains(said), "{error}");
        }
        assert!(read(Path::new("/nonexistent/file")).expect_err("not there").starts_with("cannot read /nonexistent"));
    }

    #[test]
    fn passwords_are_replaced_by_login_and_others_stay() {
        let odd = origin("2001:db8::1", PathBuf::new());
        let plain = origin("db", PathBuf::new());
        let one = merged("", &[(&odd, Password::new("p:a\\ss")), (&plain, Password::new("x"))]);
        assert_eq!(one, "2001\\:db8\\:\\:1:5432:ref:me:p\\:a\\\\ss\ndb:5432:ref:me:x\n");
        let two = merged(&one, &[(&plain, Password::new("y"))]);
        assert_eq!(two, "2001\\:db8\\:\\:1:5432:ref:me:p\\:a\\\\ss\ndb:5432:ref:me:y\n");
    }

    #[test]
    fn a_node_has_the_password_or_another_one_or_none() {
        let (_directory, path) = file("secret\n");
        let from = origin("db", path);
        let mut declared = DeclaredSubscription {
            name: Ident::new("s").expect("valid"),
            from: from.clone(),
            publications: BTreeSet::new(),
            copy_data: true,
            reclaim: Reclaim::Retain,
        };
        let on_node = merged("", &[(&from, Password::new("secret"))]);
        assert_eq!(compare(&on_node, &declared), PasswordSeen::Given);
        assert_eq!(compare("", &declared), PasswordSeen::Outdated);
        assert_eq!(compare("db:5432:ref:me:other\n", &declared), PasswordSeen::Outdated);
        declared.from.password_file = PathBuf::from("/nonexistent/file");
        assert!(matches!(compare(&on_node, &declared), PasswordSeen::Unreadable { .. }));
    }
}
