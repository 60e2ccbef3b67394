//! The admin console of an endpoint's PgBouncer (<https://www.pgbouncer.org/usage.html#admin-console>).
//!
//! In: where it is and its password. Out: where it leads, and commands that hold clients and let them go on. Each can be repeated,
//! and each ends in time. Nothing here writes its configuration.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Config, SimpleQueryMessage, SimpleQueryRow};

use super::password::Password;
use super::tls::Tls;
use crate::model::endpoint::PoolerSeen;
use crate::plan::provision::POOLER;

/// The database that is the console.
const CONSOLE: &str = "pgbouncer";

/// How long it may take to accept a connection; it takes milliseconds, and one that hangs must not hang us.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How long it may take over an answer that takes it no time.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at connections that are about to come or go.
const RELEASE_POLL: Duration = Duration::from_millis(2);

/// With these at one it opens no connection to a server where it has any: see [`Pooler::pause`].
const LIMITS: [&str; 2] = ["default_pool_size", "max_db_connections"];

/// Where a console is and how to log in.
#[derive(Clone, Debug)]
pub struct PoolerTarget {
    /// The endpoint's container, for people.
    pub endpoint: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The pooler's own password.
    pub password: Password,
    /// It asks for encryption where it was made with a certificate.
    pub is_encrypted: bool,
}

/// A console could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// No connection came about.
    #[error("cannot connect to the admin console of {endpoint} at {address}")]
    Unreachable {
        /// Which endpoint.
        endpoint: String,
        /// Host and port that were tried.
        address: String,
        /// Why it failed.
        source: tokio_postgres::Error,
    },
    /// It does not answer in time.
    #[error("cannot {doing} on {endpoint}: no answer within {} s", patience.as_secs())]
    Silent {
        /// What was tried.
        doing: &'static str,
        /// Which endpoint.
        endpoint: String,
        /// How long was waited.
        patience: Duration,
    },
    /// It said no.
    #[error("cannot {doing} on {endpoint}: {}", words(answer))]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// Which endpoint.
        endpoint: String,
        /// Its answer; part of the message, so not a source as well.
        answer: tokio_postgres::Error,
    },
    /// Clients keep connections to the server. It lets no further one begin, until it is told to go on.
    #[error("{endpoint} holds its clients, but some have not let go of the server within {} ms", patience.as_millis())]
    Busy {
        /// Which endpoint.
        endpoint: String,
        /// How long was waited.
        patience: Duration,
    },
    /// An answer is not as expected.
    #[error("cannot read what {endpoint} says about itself: {because}")]
    Unexpected {
        /// Which endpoint.
        endpoint: String,
        /// What was odd.
        because: String,
    },
    /// It read its new configuration and leads somewhere else than that says.
    #[error("{endpoint} read its configuration and leads to {found} instead of {wanted}")]
    Elsewhere {
        /// Which endpoint.
        endpoint: String,
        /// Hosts it leads to.
        found: String,
        /// Hosts it was to lead to.
        wanted: String,
    },
}

fn words(answer: &tokio_postgres::Error) -> String {
    answer.as_db_error().map_or_else(|| answer.to_string(), |db| db.message().to_owned())
}

impl PoolerError {
    /// What the user can do.
    pub fn help(&self) -> String {
        match self {
            Self::Busy { .. } => "end the transactions that are under way, or, with session pooling, the sessions; \
                 then try again"
                .into(),
            Self::Unreachable { endpoint, .. }
            | Self::Silent { endpoint, .. }
            | Self::Refused { endpoint, .. }
            | Self::Unexpected { endpoint, .. }
            | Self::Elsewhere { endpoint, .. } => {
                format!("`docker logs {endpoint}` shows what PgBouncer says; `docker restart {endpoint}` is harmless")
            }
        }
    }
}

/// An open console.
#[derive(Debug)]
pub struct Pooler {
    endpoint: String,
    client: Client,
}

impl Pooler {
    /// Connects.
    pub async fn connect(target: &PoolerTarget) -> Result<Self, PoolerError> {
        let endpoint = target.endpoint.clone();
        // Who it is, is told by the password, which it does not see.
        let tls = if target.is_encrypted { Tls::encrypted() } else { Tls::none() };
        let mut config = Config::new();
        config
            .host(&target.host)
            .port(target.port)
            .user(POOLER)
            .password(target.password.reveal())
            .dbname(CONSOLE)
            .application_name("hypertide")
            .ssl_mode(tls.ssl_mode())
            .connect_timeout(CONNECT_PATIENCE)
            .tcp_user_timeout(ANSWER_PATIENCE);
        // Boxed: with TLS it is large, and everybody's future holds one.
        let connecting = Box::pin(config.connect(tls.connector()));
        let (client, connection) = tokio::time::timeout(CONNECT_PATIENCE, connecting)
            .await
            .map_err(|_| PoolerError::Silent {
                doing: "log in",
                endpoint: endpoint.clone(),
                patience: CONNECT_PATIENCE,
            })?
            .map_err(|source| {
                let address = format!("{}:{}", target.host, target.port);
                PoolerError::Unreachable { endpoint: endpoint.clone(), address, source }
            })?;
        tokio::spawn(async move {
            // The end of a connection shows at the next command.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to an admin console ended");
            }
        });
        Ok(Self { endpoint, client })
    }

    /// The connection is gone, or a command was given up on: a new one is needed.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Where it leads, and whether it holds its clients.
    pub async fn look(&self) -> Result<PoolerSeen, PoolerError> {
        let databases = self.ask("see where it leads", "show databases").await?;
        let hosts: BTreeSet<String> = databases
            .iter()
            .filter(|row| row.get("name") != Some(CONSOLE))
            .filter_map(|row| row.get("host"))
            .flat_map(|hosts| hosts.split(','))
            .map(|host| host.trim().to_owned())
            .collect();
        let state = self.ask("see whether it holds its clients", "show state").await?;
        let paused = state.iter().find(|row| row.get("key") == Some("paused")).and_then(|row| row.get("value"));
        let is_paused = match paused {
            Some("yes") => true,
            Some("no") => false,
            other => {
                let because = format!("it is paused: {}", other.unwrap_or("nothing"));
                return Err(PoolerError::Unexpected { endpoint: self.endpoint.clone(), because });
            }
        };
        Ok(PoolerSeen { hosts, is_paused })
    }

    /// Has clients wait before their next transaction, and returns when no connection to a server is left. New clients wait
    /// too. One that is paused already is waited for in the same way.
    ///
    /// # Errors
    /// [`PoolerError::Busy`] when connections are left after `patience`. Clients are held all the same, until [`Self::resume`].
    pub async fn pause(target: &PoolerTarget, patience: Duration) -> Result<(), PoolerError> {
        let until = Instant::now() + patience;
        // A connection of its own: a command that is given up on blocks those after it.
        let (console, control) = tokio::try_join!(Self::connect(target), Self::connect(target))?;
        let limits = control.limits().await?;
        control.limit(limits.iter().map(|(name, _)| (name.as_str(), "1"))).await?;
        let paused = async {
            control.wait_until_none_logs_in(until).await?;
            console.hold(patience, until).await
        };
        let paused = paused.await;
        control.limit(limits.iter().map(|(name, value)| (name.as_str(), value.as_str()))).await?;
        paused
    }

    /// The settings by which it opens no further connection to a server, with their values.
    async fn limits(&self) -> Result<Vec<(String, String)>, PoolerError> {
        let settings = self.ask("see how many connections it may open", "show config").await?;
        let limit = |row: &SimpleQueryRow| Some((row.get("key")?.to_owned(), row.get("value")?.to_owned()));
        Ok(settings.iter().filter_map(limit).filter(|(name, _)| LIMITS.contains(&name.as_str())).collect())
    }

    /// Until it reads its configuration the next time.
    async fn limit(&self, limits: impl Iterator<Item = (&str, &str)>) -> Result<(), PoolerError> {
        for (name, value) in limits {
            self.ask("limit its connections", &format!("set {name} = {value}")).await?;
        }
        Ok(())
    }

    /// `PAUSE` closes a connection to a server that is about to log in, and takes that for a failure of the server: it would let
    /// nobody go on for a second afterwards, and break off with whoever asks first.
    async fn wait_until_none_logs_in(&self, until: Instant) -> Result<(), PoolerError> {
        loop {
            let pools = self.ask("see who logs in", "show pools").await?;
            if pools.iter().all(|pool| pool.get("sv_login") == Some("0")) || Instant::now() > until {
                return Ok(());
            }
            tokio::time::sleep(RELEASE_POLL).await;
        }
    }

    async fn hold(&self, patience: Duration, until: Instant) -> Result<(), PoolerError> {
        let busy = || PoolerError::Busy { endpoint: self.endpoint.clone(), patience };
        let paused = tokio::time::timeout_at(until.into(), self.client.simple_query("pause")).await;
        match paused.map_err(|_| busy())? {
            Ok(_) => return Ok(()),
            Err(answer) if words(&answer).contains("already suspended/paused") => {}
            Err(answer) => return Err(self.refused("have it hold its clients", answer)),
        }
        while !self.ask("see who is connected", "show servers").await?.is_empty() {
            if Instant::now() > until {
                return Err(busy());
            }
            tokio::time::sleep(RELEASE_POLL).await;
        }
        Ok(())
    }

    /// Lets clients go on; nothing happens when none are held.
    pub async fn resume(&self) -> Result<(), PoolerError> {
        match self.ask("let its clients go on", "resume").await {
            Err(PoolerError::Refused { answer, .. }) if words(&answer).contains("not paused") => Ok(()),
            resumed => resumed.map(|_| ()),
        }
    }

    /// Has it read its configuration again. Connections to where it no longer leads end with their transaction.
    pub async fn reload(&self) -> Result<(), PoolerError> {
        self.ask("have it read its configuration", "reload").await.map(|_| ())
    }

    async fn ask(&self, doing: &'static str, command: &str) -> Result<Vec<SimpleQueryRow>, PoolerError> {
        let answered = tokio::time::timeout(ANSWER_PATIENCE, self.client.simple_query(command)).await;
        let silent = || PoolerError::Silent { doing, endpoint: self.endpoint.clone(), patience: ANSWER_PATIENCE };
        let messages = answered.map_err(|_| silent())?.map_err(|answer| self.refused(doing, answer))?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    fn refused(&self, doing: &'static str, answer: tokio_postgres::Error) -> PoolerError {
        PoolerError::Refused { doing, endpoint: self.endpoint.clone(), answer }
    }
}
