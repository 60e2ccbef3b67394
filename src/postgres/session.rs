//! One connection to one database, as the superuser, with the settings every session of ours has.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Config};

use super::password::Password;
use super::rows::{ChunkLists, SubscribedTables};
use super::tls::Tls;
use crate::model::names::{Ident, NodeName};

/// How long a server may take to accept a connection before it counts as unreachable: a local handshake takes
/// milliseconds, and a hung server must not hang us.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How long the other side may leave what we sent unacknowledged, or a question whether it is still there: a link that is cut
/// says nothing, and without this TCP would go on trying for a quarter of an hour.
const LINK_PATIENCE: Duration = Duration::from_secs(10);

/// How long a server may take over what takes it milliseconds, before it counts as hung. A frozen server's kernel goes on
/// acknowledging, so the link's patience does not end that; what was seen is older than this before it counts as not known.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// How long one statement may run before the server ends it; long work (a base backup, a copy) is not done in ours.
const STATEMENT_TIMEOUT: &str = "60s";

/// What sessions are called in `pg_stat_activity`.
const NAME: &str = "hypertide";

/// What those are called that change no row of a user's: `sql/backup/backends.sql` counts on it.
const WATCHER: &str = "hypertide watcher";

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
    /// It has no TLS, or its certificate is not what was asked for.
    #[error("cannot connect to {node} at {address} by TLS")]
    Tls {
        /// Which node.
        node: String,
        /// Host and port that were tried.
        address: String,
        /// What is wrong.
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
    /// The server took a question and did not answer: it hangs, or is frozen.
    #[error("cannot {doing} on {node}: no answer within {} s", ANSWER_PATIENCE.as_secs())]
    Stuck {
        /// What was tried.
        doing: String,
        /// Which node.
        node: String,
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
            Self::Tls { .. } => Some(
                "its certificate has to be what `sslmode` asks for: for that host (verify-full), and signed by an authority of \
                 `sslrootcert`"
                    .into(),
            ),
            Self::Unreachable { node, .. } | Self::Silent { node, .. } | Self::Stuck { node, .. } => {
                Some(format!("`hypertide logs {node}` shows what the server says"))
            }
            Self::Statement { node, .. } | Self::Unexpected { node, .. } => {
                Some(format!("`hypertide logs {node}` shows the statement in its place"))
            }
        }
    }

    /// The server answered, and no waiting will change its mind; while it starts it says something else.
    pub fn is_final(&self) -> bool {
        self.code().is_some_and(|code| *code != SqlState::CANNOT_CONNECT_NOW)
    }

    /// What the server said, when it answered.
    pub fn answer(&self) -> Option<&DbError> {
        match self {
            Self::Unreachable { source, .. } => source.as_db_error(),
            Self::Statement { answer, .. } => answer.as_db_error(),
            Self::Tls { .. } | Self::Silent { .. } | Self::Stuck { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// The SQLSTATE, when the server answered.
    pub fn code(&self) -> Option<&SqlState> {
        self.answer().map(DbError::code)
    }
}

/// The error tells its kind in words only.
fn is_about_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string() == "error performing TLS handshake"
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
    subscribed: Mutex<Option<SubscribedTables>>,
    apply_errors: Mutex<Option<u64>>,
}

impl Session {
    /// Connects, for control traffic: UTC, never read-only, statements bounded in time, commits that wait for no replica: what sets
    /// free who waits for one must not wait itself. Compiling a statement that reads the
    /// catalog of thousands of chunks would take longer than running it.
    pub async fn connect(target: &Target) -> Result<Self, PostgresError> {
        Self::connect_as(NAME, target).await
    }

    /// The same, for what stays connected and never changes a row of a user's.
    pub async fn watch(target: &Target) -> Result<Self, PostgresError> {
        Self::connect_as(WATCHER, target).await
    }

    async fn connect_as(name: &str, target: &Target) -> Result<Self, PostgresError> {
        let address = format!("{}:{}", target.host, target.port);
        let mut config = Config::new();
        config
            .host(&target.host)
            .port(target.port)
            .dbname(target.database.as_str())
            .user(target.user)
            .password(target.password.reveal())
            .application_name(name);
        Self::open(config, &Tls::none(), &target.node, address).await
    }

    /// The same for a server that somebody else described; `address` names it in errors.
    pub async fn open(mut config: Config, tls: &Tls, node: &NodeName, address: String) -> Result<Self, PostgresError> {
        let (name, node) = (node.clone(), node.to_string());
        if config.get_application_name().is_none() {
            config.application_name(NAME);
        }
        config
            .ssl_mode(tls.ssl_mode())
            .connect_timeout(CONNECT_PATIENCE)
            .keepalives_idle(KEEPALIVE_INTERVAL)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .tcp_user_timeout(LINK_PATIENCE)
            .options(format!(
                "-c timezone=UTC -c default_transaction_read_only=off -c statement_timeout={STATEMENT_TIMEOUT} \
                 -c client_min_messages=warning -c jit=off -c synchronous_commit=local"
            ));
        // Boxed: with TLS it is large, and everybody's future holds one.
        let connecting = Box::pin(config.connect(tls.connector()));
        let (client, connection) = tokio::time::timeout(CONNECT_PATIENCE, connecting)
            .await
            .map_err(|_| PostgresError::Silent { node: node.clone(), address: address.clone() })?
            .map_err(|source| {
                if is_about_tls(&source) {
                    PostgresError::Tls { node, address, source }
                } else {
                    PostgresError::Unreachable { node, address, source }
                }
            })?;
        tokio::spawn(async move {
            // The end of a connection shows at the next statement; there is nothing else to do about it here.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(Self {
            node: name,
            client,
            chunk_lists: Mutex::default(),
            subscribed: Mutex::default(),
            apply_errors: Mutex::default(),
        })
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

    /// The subscription's tables that were last read over this connection.
    pub fn subscribed(&self) -> Option<SubscribedTables> {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the subscription's tables for the next look.
    pub fn keep_subscribed(&self, tables: SubscribedTables) {
        *self.subscribed.lock().unwrap_or_else(PoisonError::into_inner) = Some(tables);
    }

    /// Keeps the number of failed attempts to apply, and gives the one before.
    pub fn keep_apply_errors(&self, errors: u64) -> Option<u64> {
        self.apply_errors.lock().unwrap_or_else(PoisonError::into_inner).replace(errors)
    }

    /// The connection is gone; a new one is needed.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters.
    pub async fn run(&self, doing: &str, sql: &str) -> Result<(), PostgresError> {
        self.client.batch_execute(sql).await.map_err(|source| self.failed(doing, source))
    }

    /// Runs statements without parameters in one transaction. Only where nobody else uses the session meanwhile.
    pub async fn run_whole(&self, doing: &str, sql: &str) -> Result<(), PostgresError> {
        let done = self.run(doing, &format!("begin; {sql}; commit")).await;
        if done.is_err() {
            // The error says more than what becomes of this: with the session the transaction ends in any case.
            self.client.batch_execute("rollback").await.ok();
        }
        done
    }

    /// Waits for short questions to be answered, and not for ever; the session is of no use when they were not.
    pub async fn promptly<T, E: From<PostgresError>>(
        &self,
        doing: &str,
        answers: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::time::timeout(ANSWER_PATIENCE, answers).await.unwrap_or_else(|_| {
            Err(PostgresError::Stuck { doing: doing.to_owned(), node: self.node.to_string() }.into())
        })
    }

    /// The error of a statement on this node.
    pub fn failed(&self, doing: &str, answer: tokio_postgres::Error) -> PostgresError {
        PostgresError::Statement { doing: doing.to_owned(), node: self.node.to_string(), answer }
    }
}
