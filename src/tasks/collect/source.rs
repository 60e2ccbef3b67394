//! Whose server is asked: a node's, or that of a database outside the cluster.

use std::time::Duration;

use crate::model::collecting::WatchedDatabase;
use crate::model::names::NodeName;
use crate::postgres::metrics;
use crate::postgres::session::{PostgresError, Session};
use crate::postgres::tls::{Tls, TlsError};
use crate::secrets::outside;
use crate::site::{ReachError, Site};

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// That of a node, at this port of the host.
    Node(NodeName, u16),
    /// Another.
    Elsewhere(WatchedDatabase),
}

/// A server cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("no password for {name}: {because}")]
    Password { name: NodeName, because: String },
    #[error("cannot tell who may sign the certificate of {name}")]
    Tls { name: NodeName, source: TlsError },
}

/// The nodes, then the databases elsewhere. What a node is called that was added by hand is told of that node alone.
pub(super) fn all(nodes: &[(NodeName, u16)], databases: &[WatchedDatabase]) -> Vec<Source> {
    let is_free = |database: &&WatchedDatabase| {
        let is_free = nodes.iter().all(|(node, _)| *node != database.name);
        if !is_free {
            tracing::warn!(
                "`metrics.databases` has a {0} as well as the cluster has; the node is told of",
                database.name
            );
        }
        is_free
    };
    let elsewhere = databases.iter().filter(is_free).cloned().map(Source::Elsewhere);
    nodes.iter().map(|(node, port)| Source::Node(node.clone(), *port)).chain(elsewhere).collect()
}

impl Source {
    /// What it is called in the label `node`.
    pub(super) const fn name(&self) -> &NodeName {
        match self {
            Self::Node(name, _) | Self::Elsewhere(WatchedDatabase { name, .. }) => name,
        }
    }

    /// The node it is of.
    pub(super) const fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Node(name, _) => Some(name),
            Self::Elsewhere(_) => None,
        }
    }

    /// Opens a session for questions. A password is read anew each time, so that it may change.
    pub(super) async fn connect(&self, site: &Site, patience: Duration) -> Result<Session, SourceError> {
        match self {
            Self::Node(node, port) => {
                Ok(metrics::connect(&site.target(node, *port, &site.desired.database)?, patience).await?)
            }
            Self::Elsewhere(database) => {
                let name = || database.name.clone();
                let password = database.password_file.as_deref().map(outside::read).transpose();
                let password = password.map_err(|because| SourceError::Password { name: name(), because })?;
                let tls = Tls::new(database.tls, database.roots.as_deref());
                let tls = tls.map_err(|source| SourceError::Tls { name: name(), source })?;
                Ok(metrics::connect_elsewhere(database, password.as_ref(), &tls, patience).await?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Ident;
    use crate::model::tls_mode::TlsMode;

    #[test]
    fn nodes_come_first_and_keep_their_names() {
        let name = |text| NodeName::new(text).expect("valid");
        let elsewhere = |text| WatchedDatabase {
            name: name(text),
            host: "db".into(),
            port: 5432,
            database: Ident::new("shop").expect("valid"),
            user: "monitor".into(),
            password_file: None,
            tls: TlsMode::Prefer,
            roots: None,
        };
        let nodes = [(name("primary-1"), 5434), (name("added"), 5440)];
        let sources = all(&nodes, &[elsewhere("shop"), elsewhere("added")]);
        let names: Vec<&str> = sources.iter().map(|source| source.name().as_str()).collect();
        assert_eq!(names, ["primary-1", "added", "shop"]);
        assert_eq!(sources.iter().filter_map(Source::node).count(), 2);
    }
}
