//! One connection to one database, as the superuser, with the settings every session of ours has.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::password::Password;
use super::rows::ChunkLists;
use crate::model::names::{Ident, NodeName};

/// How long a server may take to accept a connection before it counts as unreachable: a local handshake takes
/// milliseconds, and a hung server must not hang us.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How long the other side may leave what we sent unacknowledged, or a question whether it is still there: a link that is cut
/// says nothing, and without this TCP would go on trying for a quarter of an hour.
const LINK_PATIENCE: Duration = Duration::from_secs(10);

/// Between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// How long one statement may run before the server ends it; long work (a base backup, a copy) is not done in ours.
const STATEMENT_TIMEOUT: &str = "60s";

/// A statement or connection failed.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No connection came about.
    #[error("cannot connect to {node} at {address}")]
    Unreachable {
        /// Which node.
        node: String,
        /// Host and port that were tried.
        address: String,
        /// Why it failed.
        source: tokio_postgres::Error,
    },
    /// The server accepted no connection in time.
    #[error("{node} at {address} does not answer within {} s", CONNECT_PATIENCE.as_secs())]
    Silent {
        /// Which node.
        node: String,
        /// Host and port that were tried.
        address: String,
    },
    /// The server said no to a statement.
    #[error("cannot {doing} on {node}: {}", describe(answer))]
    Statement {
        /// What was tried.
        doing: String,
        /// Which node.
        node: String,
        /// Its answer; part of the message, so not a source as well.
        answer: tokio_postgres::Error,
    },
    /// The answer of an observation was not as expected.
    #[error("cannot read what {node} says about itself: {because}")]
    Unexpected {
        /// Which node.
        node: String,
        /// What was odd.
        because: String,
    },
}

/// Message and hint of a server's answer, without the noise around it.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => match db.hint() {
            Some(hint) => format!("{} ({hint})", db.message()),
            None => db.message().to_owned(),
        },
        None => error.to_string(),
    }
}

impl PostgresError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unreachable { source, .. } if is_password_rejected(source) => Some(
                "the password on file is not the server's: put back the state directory's `pgpass`, or delete it \
                 and let `hypertide up` fetch it from the node"
                    .into(),
            ),
            Self::Unreachable { node, .. } | Self::Silent { node, .. } => {
                Some(format!("`hypertide logs {node}` shows what the server says"))
            }
            Self::Statement { node, .. } | Self::Unexpected { node, .. } => {
                Some(format!("`hypertide logs {node}` shows the statement in its place"))
            }
        }
    }

    /// The SQLSTATE, when the server answered.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Unreachable { source, .. } => source.code(),
            Self::Statement { answer, .. } => answer.code(),
            Self::Silent { .. } | Self::Unexpected { .. } => None,
        }
    }
}

fn is_password_rejected(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_PASSWORD)
}

/// Where a database is and how to log in.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whose server it is.
    pub node: NodeName,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Which database.
    pub database: Ident,
    /// Which role.
    pub user: &'static str,
    /// Its password.
    pub password: Password,
}

/// An open connection.
#[derive(Debug)]
pub struct Session {
    /// Whose server it is.
    pub node: NodeName,
    client: Client,
    /// What was last read over this very connection; a node that is made anew gets a new one.
    chunk_lists: Mutex<Option<ChunkLists>>,
}

impl Session {
    /// Connects, for control traffic: UTC, never read-only, statements bounded in time. Compiling a statement that reads the
    /// catalog of thousands of chunks would take longer than running it.
    pub async fn connect(target: &Target) -> Result<Self, PostgresError> {
        let node = target.node.to_string();
        let address = format!("{}:{}", target.host, target.port);
        let mut config = Config::new();
        config
            .host(&target.host)
            .port(target.port)
            .dbname(target.database.as_str())
            .user(target.user)
            .password(target.password.reveal())
            .application_name("hypertide")
            .ssl_mode(SslMode::Disable)
            .connect_timeout(CONNECT_PATIENCE)
            .keepalives_idle(KEEPALIVE_INTERVAL)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .tcp_user_timeout(LINK_PATIENCE)
            .options(format!(
                "-c timezone=UTC -c default_transaction_read_only=off -c statement_timeout={STATEMENT_TIMEOUT} \
                 -c client_min_messages=warning -c jit=off"
            ));
        let connecting = config.connect(NoTls);
        let (client, connection) = tokio::time::timeout(CONNECT_PATIENCE, connecting)
            .await
            .map_err(|_| PostgresError::Silent { node: node.clone(), address: address.clone() })?
            .map_err(|source| PostgresError::Unreachable { node, address, source })?;
        tokio::spawn(async move {
            // The end of a connection shows at the next statement; there is nothing else to do about it here.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(Self { node: target.node.clone(), client, chunk_lists: Mutex::default() })
    }

    /// The client, for the other files of this layer.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client, where a transaction needs it for itself.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The lists of chunks that were last read over this connection.
    pub fn chunk_lists(&self) -> Option<ChunkLists> {
        self.chunk_lists.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps lists of chunks for the next look.
    pub fn keep_chunk_lists(&self, lists: ChunkLists) {
        *self.chunk_lists.lock().unwrap_or_else(PoisonError::into_inner) = Some(lists);
    }

    /// The connection is gone; a new one is needed.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters.
    pub async fn run(&self, doing: &str, sql: &str) -> Result<(), PostgresError> {
        self.client.batch_execute(sql).await.map_err(|source| self.failed(doing, source))
    }

    /// The error of a statement on this node.
    pub fn failed(&self, doing: &str, answer: tokio_postgres::Error) -> PostgresError {
        PostgresError::Statement { doing: doing.to_owned(), node: self.node.to_string(), answer }
    }
}
