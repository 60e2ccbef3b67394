//! One cluster on one Docker host: the adapters that reach it, and the sessions kept open to its nodes.
//!
//! In: configuration and state directory. Out: addresses, sessions and passwords for the layers of work. Decides nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::docker::engine::{DockerError, Engine};
use crate::docker::spec;
use crate::model::desired::Desired;
use crate::model::endpoint::Access;
use crate::model::job::JobRole;
use crate::model::names::{Ident, NodeName};
use crate::model::outside::Kind;
use crate::plan::provision::SUPERUSER;
use crate::postgres::look;
use crate::postgres::pooler::{Pooler, PoolerError, PoolerTarget};
use crate::postgres::session::{PostgresError, Session, Target};
use crate::secrets::{self, Secrets, SecretsError};

/// From where this process talks to the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From the Docker host, through published ports.
    Published,
    /// From a container on the cluster's network, by host name.
    Network,
}

/// What a server said no to, and its words.
pub type Refusals = BTreeMap<(Kind, Ident), String>;

/// A cluster and how to reach it.
#[derive(Debug)]
pub struct Site {
    /// What is wanted.
    pub desired: Desired,
    /// The Docker engine.
    pub engine: Engine,
    /// From where this process talks to the nodes.
    pub reach: Reach,
    /// Holds the password file.
    pub state_dir: PathBuf,
    secrets: Mutex<Option<Secrets>>,
    sessions: Mutex<BTreeMap<NodeName, Arc<Session>>>,
    poolers: Mutex<BTreeMap<Access, Arc<Pooler>>>,
    refusals: Mutex<Refusals>,
}

/// A session could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// Docker would not say where the passwords are.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The passwords could not be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The server could not be reached.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// An endpoint could not be reached or used.
    #[error(transparent)]
    Pooler(#[from] PoolerError),
    /// There is no such endpoint.
    #[error("there is no {0} endpoint: clients connect to the nodes")]
    NoEndpoint(Access),
    /// There are no passwords anywhere yet.
    #[error("the cluster has no passwords yet")]
    NoSecrets,
}

impl Site {
    /// Binds configuration and engine together; touches neither.
    pub fn new(desired: Desired, engine: Engine, reach: Reach, state_dir: PathBuf) -> Self {
        Self {
            desired,
            engine,
            reach,
            state_dir,
            secrets: Mutex::default(),
            sessions: Mutex::default(),
            poolers: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// The cluster's passwords: known, on file, or fetched from one of these containers when the file is gone.
    pub async fn secrets(&self, containers: &[String]) -> Result<Option<Secrets>, ReachError> {
        if let Some(secrets) = self.known_secrets() {
            return Ok(Some(secrets));
        }
        if let Some(secrets) = secrets::load(&self.state_dir)? {
            self.remember(secrets.clone());
            return Ok(Some(secrets));
        }
        for container in containers {
            let Some(bytes) = self.engine.read_file(container, spec::PASSFILE).await? else { continue };
            let secrets = Secrets::parse(&String::from_utf8_lossy(&bytes), container)?;
            secrets::save(&self.state_dir, &secrets)?;
            tracing::warn!(container, "the state directory had no passwords; fetched them from a node");
            self.remember(secrets.clone());
            return Ok(Some(secrets));
        }
        Ok(None)
    }

    /// Generates passwords, keeps them on file and remembers them.
    pub fn create_secrets(&self) -> Result<(), SecretsError> {
        let secrets = Secrets::generate()?;
        secrets::save(&self.state_dir, &secrets)?;
        self.remember(secrets);
        Ok(())
    }

    /// The passwords, when they have been read or made.
    pub fn known_secrets(&self) -> Option<Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, secrets: Secrets) {
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = Some(secrets);
    }

    /// Where a node's server listens, seen from this process.
    pub fn address(&self, node: &NodeName, port: u16) -> (String, u16) {
        match self.reach {
            Reach::Published => (self.published_host(), port),
            Reach::Network => (self.desired.cluster.container(node), spec::POSTGRES_PORT),
        }
    }

    fn published_host(&self) -> String {
        let bind = self.desired.bind;
        if bind.is_unspecified() { "127.0.0.1".to_owned() } else { bind.to_string() }
    }

    /// How to log into an endpoint's admin console.
    pub fn pooler_target(&self, access: Access) -> Result<PoolerTarget, ReachError> {
        let ports = self.desired.endpoint.ports();
        let (_, port) = ports.into_iter().find(|(of, _)| *of == access).ok_or(ReachError::NoEndpoint(access))?;
        let endpoint = self.desired.cluster.endpoint(access);
        let (host, port) = match self.reach {
            Reach::Published => (self.published_host(), port),
            Reach::Network => (endpoint.clone(), spec::POSTGRES_PORT),
        };
        let password = self.known_secrets().ok_or(ReachError::NoSecrets)?.pooler().clone();
        Ok(PoolerTarget { endpoint, host, port, password, is_encrypted: self.desired.endpoint_tls.is_some() })
    }

    /// An open admin console of an endpoint, kept for the next caller.
    pub async fn pooler(&self, access: Access) -> Result<Arc<Pooler>, ReachError> {
        let kept = self.poolers.lock().unwrap_or_else(PoisonError::into_inner).get(&access).cloned();
        if let Some(pooler) = kept.filter(|pooler| !pooler.is_closed()) {
            return Ok(pooler);
        }
        let pooler = Arc::new(Pooler::connect(&self.pooler_target(access)?).await?);
        self.poolers.lock().unwrap_or_else(PoisonError::into_inner).insert(access, pooler.clone());
        Ok(pooler)
    }

    /// Lets go of an endpoint's console, so that the next one is new.
    pub fn forget_pooler(&self, access: Access) {
        self.poolers.lock().unwrap_or_else(PoisonError::into_inner).remove(&access);
    }

    /// Where the agent answers over HTTP: in its container on all addresses, from where Docker publishes it.
    pub fn listen(&self) -> Option<SocketAddr> {
        let inside = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), spec::AGENT_PORT);
        self.desired.metrics.map(|listen| if self.reach == Reach::Network { inside } else { listen })
    }

    /// How to log into a node as superuser.
    pub fn target(&self, node: &NodeName, port: u16, database: &Ident) -> Result<Target, ReachError> {
        let (host, port) = self.address(node, port);
        let password = self.known_secrets().ok_or(ReachError::NoSecrets)?.superuser().clone();
        Ok(Target { node: node.clone(), host, port, database: database.clone(), user: SUPERUSER, password })
    }

    /// How to log into the same database as somebody else.
    pub fn target_as(&self, role: JobRole, target: &Target) -> Result<Target, ReachError> {
        let password = self.known_secrets().ok_or(ReachError::NoSecrets)?.of(role).clone();
        Ok(Target { user: role.word(), password, ..target.clone() })
    }

    /// An open session to the node's database (to `postgres` while it has none), kept for the next caller. Not for changing
    /// a user's rows.
    pub async fn session(&self, node: &NodeName, port: u16) -> Result<Arc<Session>, ReachError> {
        let kept = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(node).cloned();
        if let Some(session) = kept.filter(|session| !session.is_closed()) {
            return Ok(session);
        }
        let session = Arc::new(look::connect(&self.target(node, port, &self.desired.database)?).await?);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone(), session.clone());
        Ok(session)
    }

    /// What servers refused in this process: to be told, and not to be tried again by this run.
    pub fn refusals(&self) -> Refusals {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of a refusal.
    pub fn remember_refusal(&self, kind: Kind, name: Ident, because: String) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, name), because);
    }

    /// Lets go of a node's session, so that the next one is new.
    pub fn forget_session(&self, node: &NodeName) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}
