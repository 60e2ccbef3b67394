//! What the agent's collectors ask servers for beside the usual, and which servers beside the nodes'.

use std::path::PathBuf;

use super::names::{Ident, NodeName};
use super::tls_mode::TlsMode;

/// As configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collecting {
    /// Statistics of statements (`pg_stat_statements`).
    pub statements: Statements,
    /// Databases outside the cluster, in the order of the file; names unique, and none a node's.
    pub databases: Vec<WatchedDatabase>,
}

/// Which statements are told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// So many, those that took the most time in all; 0: none.
    pub top: u16,
    /// Their text is a label.
    pub text: bool,
}

/// A database outside the cluster, whose server is asked as a node's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedDatabase {
    /// What it is called in the label `node`.
    pub name: NodeName,
    /// Host name or address, as the agent's container reaches it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: Ident,
    /// The role.
    pub user: String,
    /// Holds the role's password; `None`: it needs none.
    pub password_file: Option<PathBuf>,
    /// How much encryption is asked for.
    pub tls: TlsMode,
    /// Certificates of those who may sign the server's, in a file; `None`: whom the system trusts.
    pub roots: Option<PathBuf>,
}

impl WatchedDatabase {
    /// The files it takes to connect.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.password_file.iter().chain(&self.roots)
    }
}
