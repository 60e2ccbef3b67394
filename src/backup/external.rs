//! A database without a cluster, named by a URL: how we and PostgreSQL's programs reach it.
//!
//! In: `postgres://user:password@host:port/database?…` and the environment libpq would look at. Out: a checked [`External`]. The
//! password is never shown again: it is in nobody's `Debug`, argument or error.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::tools::ServerAddress;
use crate::model::names::{Ident, NameError, NodeName};
use crate::model::tls_mode::TlsMode;
use crate::postgres::password::Password;
use crate::postgres::session::{PostgresError, Session};
use crate::postgres::tls::{Tls, TlsError};

/// What a database without a cluster is called in messages.
const NAME: &str = "external";

/// A database somewhere.
#[derive(Clone, Debug)]
pub struct External {
    /// For PostgreSQL's programs.
    pub server: ServerAddress,
    /// Which database.
    pub database: Ident,
    tls: Tls,
}

/// A text is no URL of a database, or of none that we can reach.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not of that form. The text is not repeated: it may hold a password.
    #[error("the URL of the database cannot be read: {because}")]
    Malformed {
        /// What is odd.
        because: String,
    },
    /// A part is missing.
    #[error("the URL of the database names no {what}")]
    Missing {
        /// Which part.
        what: &'static str,
    },
    /// More than one host.
    #[error("the URL of the database names several hosts")]
    Several,
    /// `sslmode` is none of libpq's words.
    #[error("`sslmode` is `{word}`")]
    Mode {
        /// What it is.
        word: String,
    },
    /// Whoever is trusted by the system cannot be told from anybody else.
    #[error("`sslrootcert=system` needs sslmode=verify-full")]
    SystemUnverified,
    /// Nobody can be trusted.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl UrlError {
    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            Self::Mode { .. } | Self::SystemUnverified => {
                "sslmode is disable, prefer, require, verify-ca or verify-full".into()
            }
            Self::Tls(_) => {
                "name a file of PEM certificates of those who may sign the server's: sslrootcert=FILE in the URL, \
                 PGSSLROOTCERT, or ~/.postgresql/root.crt"
                    .into()
            }
            Self::Several => "name the one that is to be backed up".into(),
            _ => {
                "it looks like postgres://user@host:5432/database; a password can be in PGPASSWORD or PGPASSFILE".into()
            }
        }
    }
}

impl External {
    /// Reads a URL. `environment` gives variables by name; only those that libpq knows are asked for.
    pub fn parse(url: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, UrlError> {
        let Parts { url, mode, roots } = split(url);
        let tls = tls(mode, roots, &environment)?;
        let config = Config::from_str(&url).map_err(|error| UrlError::Malformed {
            because: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
        })?;
        let host = match config.get_hosts() {
            [Host::Tcp(name)] => name.clone(),
            [Host::Unix(path)] => path.to_string_lossy().into_owned(),
            [] => return Err(UrlError::Missing { what: "host" }),
            _ => return Err(UrlError::Several),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let user = config.get_user().map(str::to_owned).or_else(|| environment("PGUSER"));
        let user = user.ok_or(UrlError::Missing { what: "user" })?;
        let database = config.get_dbname().map_or_else(|| user.clone(), str::to_owned);
        let given = config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let password = given
            .or_else(|| environment("PGPASSWORD"))
            .or_else(|| in_file(&environment, &[&host, &port.to_string(), &database, &user]));
        let options = vec![("sslmode".to_owned(), tls.mode().word().to_owned())];
        let password = password.map(Password::new);
        let server = ServerAddress { host, port, user, password, options, trusted: tls.pem() };
        Ok(Self { server, database: Ident::new(&database)?, tls })
    }

    /// Opens a session.
    pub async fn session(&self) -> Result<Session, PostgresError> {
        let ServerAddress { host, port, user, password, .. } = &self.server;
        let mut config = Config::new();
        config.host(host).port(*port).user(user).dbname(self.database.as_str());
        if let Some(password) = password {
            config.password(password.reveal());
        }
        let name = NodeName::new(NAME).expect("a host label");
        Session::open(config, &self.tls, &name, format!("{host}:{port}")).await
    }
}

/// A URL without what it says about TLS: tokio-postgres understands that in part only.
struct Parts {
    url: String,
    mode: Option<String>,
    roots: Option<String>,
}

fn split(url: &str) -> Parts {
    let Some((before, query)) = url.split_once('?') else {
        return Parts { url: url.to_owned(), mode: None, roots: None };
    };
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for pair in query.split('&') {
        let value = |value: &str| Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
        match pair.split_once('=') {
            Some(("sslmode", word)) => mode = value(word),
            Some(("sslrootcert", path)) => roots = value(path),
            _ => rest.push(pair),
        }
    }
    Parts { url: format!("{before}?{}", rest.join("&")), mode, roots }
}

/// What libpq would do with these words: <https://www.postgresql.org/docs/17/libpq-ssl.html>.
fn tls(
    mode: Option<String>,
    roots: Option<String>,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Tls, UrlError> {
    let word = mode.or_else(|| environment("PGSSLMODE")).unwrap_or_else(|| TlsMode::Prefer.word().to_owned());
    let mode = TlsMode::from_word(&word).ok_or(UrlError::Mode { word })?;
    let roots = roots.or_else(|| environment("PGSSLROOTCERT"));
    if roots.as_deref() == Some("system") {
        return if mode == TlsMode::VerifyFull { Ok(Tls::new(mode, None)?) } else { Err(UrlError::SystemUnverified) };
    }
    let usual = || Some(Path::new(&environment("HOME")?).join(".postgresql/root.crt")).filter(|path| path.is_file());
    Ok(Tls::new(mode, roots.map(PathBuf::from).or_else(usual).as_deref())?)
}

/// A password from libpq's own file: <https://www.postgresql.org/docs/17/libpq-pgpass.html>.
fn in_file(environment: &impl Fn(&str) -> Option<String>, wanted: &[&str; 4]) -> Option<String> {
    let file = environment("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".pgpass")))?;
    find(&std::fs::read_to_string(file).ok()?, wanted)
}

fn find(text: &str, wanted: &[&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [rest @ .., password] = fields.as_slice() else { return None };
        let fits = rest.len() == 4 && rest.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| password.clone())
    })
}

/// The fields of a line; `\` takes away a character's meaning.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, fields.last_mut()) {
            (':', _) => fields.push(String::new()),
            ('\\', Some(field)) => field.extend(letters.next()),
            (letter, Some(field)) => field.push(letter),
            (_, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_who() {
        let found = External::parse("postgres://me:p%40ss@db.example:5433/shop", |_| None).expect("well-formed");
        assert_eq!((found.server.host.as_str(), found.server.port), ("db.example", 5433));
        assert_eq!((found.server.user.as_str(), found.database.as_str()), ("me", "shop"));
        assert_eq!(found.server.password.as_ref().map(Password::reveal), Some("p@ss"));
        assert!(!format!("{found:?}").contains("p@ss"));
        let found = External::parse("postgres://db/shop", |name| (name == "PGUSER").then(|| "you".into()));
        assert_eq!(found.expect("well-formed").server.user, "you");
    }

    #[test]
    fn a_bad_url_is_not_repeated() {
        for bad in [
            "secret",
            "postgres://u:secret@h:port/d",
            "postgres://u:secret@a,b/d",
            "postgres:///d?user=u",
            "postgres://u:secret@h/d?sslmode=secretly",
            "postgres://u:secret@h/d?sslmode=require&sslrootcert=system",
            "postgres://u:secret@h/d?sslmode=verify-full&sslrootcert=/no/such/file",
            "postgres://u:secret@h/d?what=secret",
        ] {
            let error = External::parse(bad, |_| None).expect_err(bad);
            assert!(!error.to_string().contains("secret@") && !error.to_string().contains(":secret"), "{error}");
        }
    }

    #[test]
    fn what_it_says_about_tls_is_understood_as_libpq_does() {
        let mode = |url: &str, said: Option<&'static str>| {
            let found = External::parse(url, |name| said.filter(|_| name == "PGSSLMODE").map(str::to_owned));
            let found = found.expect("well-formed");
            assert_eq!(found.server.options, [("sslmode".to_owned(), found.tls.mode().word().to_owned())]);
            found.tls.mode()
        };
        assert_eq!(mode("postgres://u@h/d", None), TlsMode::Prefer);
        assert_eq!(mode("postgres://u@h/d", Some("require")), TlsMode::Require);
        assert_eq!(mode("postgres://u@h/d?sslmode=disable", Some("require")), TlsMode::Disable);
        assert_eq!(mode("postgres://u@h/d?connect_timeout=3&sslmode=require", None), TlsMode::Require);
    }

    #[test]
    fn a_password_comes_from_the_file_of_libpq() {
        let text = "# h:5432:d:u:no\nother:*:*:*:no\nh:*:d:u:a\\:b\\\\c\n*:*:*:*:last\n";
        assert_eq!(find(text, &["h", "5432", "d", "u"]).as_deref(), Some("a:b\\c"));
        assert_eq!(find(text, &["x", "5432", "d", "u"]).as_deref(), Some("last"));
        assert_eq!(find("h:5432:d:u", &["h", "5432", "d", "u"]), None);
    }
}
