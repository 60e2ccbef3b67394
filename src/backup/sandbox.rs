//! A throw-away server: a container without any network, reached through its socket in a shared directory.
//!
//! In: an image's id and settings. Out: a place to make or unpack a data directory, a server on it, sessions, and PostgreSQL's
//! own tools ([`Sandbox::toolbox`]). What it holds goes with it: when it is dropped, and when this process is killed. Nothing
//! in it reaches anything else, and nothing reaches it but this process.
//!
//! ```no_run
//! # use hypertide::backup::sandbox::{Sandbox, SandboxError, DRILL_SETTINGS};
//! # use hypertide::docker::{engine::Engine, shared_dir::SharedPlace};
//! # use hypertide::model::names::{ClusterName, Ident};
//! # async fn example(engine: &Engine, cluster: &ClusterName, image: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::create(engine, &SharedPlace::Host, image, Some(cluster)).await?;
//! sandbox.init().await?;                                  // or unpack a base backup into `sandbox::PGDATA`
//! let server = sandbox.start(&DRILL_SETTINGS.map(str::to_owned)).await?;
//! sandbox.wait_ready(&server).await?;
//! let session = sandbox.session(&Ident::new("postgres")?).await?;
//! let tools = sandbox.toolbox();                          // pg_restore and the others, inside
//! sandbox.stop().await?;                                  // the server; the data stays for another start
//! sandbox.remove().await?;
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tools::{ServerAddress, Toolbox};
use crate::docker::engine::{DockerError, Engine};
use crate::docker::exec::Ended;
use crate::docker::keeper::{Attached, DataVolume, Keeper, KeeperError, KeeperSpec};
use crate::docker::shared_dir::{SharedDirError, SharedPlace};
use crate::docker::{labels, spec};
use crate::model::names::{ClusterName, Ident, NodeName};
use crate::plan::provision::SUPERUSER;
use crate::postgres::password::Password;
use crate::postgres::session::{PostgresError, Session, Target};

pub use crate::docker::spec::PGDATA;

/// A directory on the sandbox's own volume, beside [`PGDATA`]: room for what is on its way there.
pub const SCRATCH: &str = spec::VOLUME_PATH;

/// Settings for a server whose data is thrown away and in which no job may run.
pub const DRILL_SETTINGS: [&str; 8] = [
    "shared_preload_libraries=timescaledb",
    "timescaledb.max_background_workers=0",
    "timescaledb.telemetry_level=off",
    "autovacuum=off",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_wal_size=16GB",
];

/// How long a server may take to accept connections; recovery of a base backup may replay a day of log before.
const START_PATIENCE: Duration = Duration::from_hours(1);

/// How often a starting server is asked.
const START_POLL: Duration = Duration::from_millis(50);

/// Where the server's log is.
const LOG: &str = "/var/lib/postgresql/data/server.log";

/// A sandbox did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Its container.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The engine.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The directory it shares with this process.
    #[error(transparent)]
    Shared(#[from] SharedDirError),
    /// A command in it failed.
    #[error("{command} in {sandbox} failed with exit code {code}: {output}")]
    Command {
        /// Which command.
        command: String,
        /// In which sandbox.
        sandbox: String,
        /// Its exit code.
        code: i64,
        /// The end of what it said.
        output: String,
    },
    /// The server ended, or never began.
    #[error("the server in {sandbox} ended with exit code {code}: {output}")]
    Ended {
        /// In which sandbox.
        sandbox: String,
        /// Its exit code.
        code: i64,
        /// The end of its log.
        output: String,
    },
    /// It accepts no connections.
    #[error("the server in {sandbox} is not ready after {} s: {output}", START_PATIENCE.as_secs())]
    NotReady {
        /// In which sandbox.
        sandbox: String,
        /// The end of its log.
        output: String,
    },
    /// The server answers, and no waiting will change its mind.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

impl SandboxError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Keeper(error) => error.help(),
            Self::Docker(error) => error.help(),
            Self::Shared(error) => Some(error.help()),
            Self::Command { .. } | Self::Ended { .. } | Self::NotReady { .. } | Self::Postgres(_) => None,
        }
    }
}

/// See the file's head.
#[derive(Debug)]
pub struct Sandbox {
    keeper: Arc<Keeper>,
}

/// A server that was begun in a sandbox.
#[derive(Clone, Debug)]
pub struct SandboxServer {
    exec: String,
}

impl Sandbox {
    /// Makes the container, with an empty volume and no server.
    pub async fn create(
        engine: &Engine,
        place: &SharedPlace,
        image: &str,
        cluster: Option<&ClusterName>,
    ) -> Result<Self, SandboxError> {
        Self::make(engine, place, image, cluster, DataVolume::Own).await
    }

    /// The same on a volume that outlives it.
    pub async fn on_volume(
        engine: &Engine,
        place: &SharedPlace,
        image: &str,
        cluster: Option<&ClusterName>,
        volume: &str,
    ) -> Result<Self, SandboxError> {
        Self::make(engine, place, image, cluster, DataVolume::Named(volume)).await
    }

    async fn make(
        engine: &Engine,
        place: &SharedPlace,
        image: &str,
        cluster: Option<&ClusterName>,
        volume: DataVolume<'_>,
    ) -> Result<Self, SandboxError> {
        let spec = KeeperSpec { kind: labels::KIND_SANDBOX, cluster, image, attached: Attached::Nothing, volume };
        let keeper = Keeper::start(engine, place, &spec).await?;
        Ok(Self { keeper })
    }

    /// The data directory. On a volume that stays it has another name than a server would look for, until it is complete.
    pub fn data_dir(&self) -> &str {
        self.keeper.data_dir()
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        self.keeper.name()
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        self.keeper.id()
    }

    /// Makes an empty cluster in [`PGDATA`], as nodes have it.
    pub async fn init(&self) -> Result<(), SandboxError> {
        let command = "exec initdb --pgdata=\"$PGDATA\" --username=postgres --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
                       --auth=trust --no-sync --no-instructions";
        self.exec_ok(&["sh", "-c", command]).await.map(drop)
    }

    /// Begins a server on [`PGDATA`] with these settings (`name=value`); more of them than its own files have, and stronger.
    ///
    /// It listens on the shared socket only and lets this process in whatever `pg_hba.conf` says.
    pub async fn start(&self, settings: &[String]) -> Result<SandboxServer, SandboxError> {
        let shared = self.keeper.shared();
        let hba = shared.put("pg_hba.conf", b"local all all trust\nlocal replication all trust\n")?;
        let own = [
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", shared.inside()),
            "unix_socket_permissions=0777".to_owned(),
            format!("port={}", spec::POSTGRES_PORT),
            format!("hba_file={hba}"),
            "logging_collector=off".to_owned(),
            "log_destination=stderr".to_owned(),
            "ssl=off".to_owned(),
            // A server that was a primary with synchronous replicas would wait for them.
            "synchronous_standby_names=".to_owned(),
            "archive_mode=off".to_owned(),
        ];
        let script = format!("exec postgres -D \"$PGDATA\" \"$@\" </dev/null >>{LOG} 2>&1");
        let mut command = ["sh", "-c", script.as_str(), "postgres"].map(str::to_owned).to_vec();
        for setting in settings.iter().chain(&own) {
            command.extend(["-c".to_owned(), setting.clone()]);
        }
        let exec = self.keeper.engine().exec_detached(self.keeper.id(), command).await?;
        Ok(SandboxServer { exec })
    }

    /// Waits until the server accepts connections.
    pub async fn wait_ready(&self, server: &SandboxServer) -> Result<(), SandboxError> {
        let began = Instant::now();
        let target = self.target(&Ident::new("postgres").expect("valid"));
        loop {
            match Session::connect(&target).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_final() => return Err(error.into()),
                Err(_) => {}
            }
            self.fail_if_ended(server).await?;
            if began.elapsed() > START_PATIENCE {
                return Err(SandboxError::NotReady { sandbox: self.name().to_owned(), output: self.log().await });
            }
            tokio::time::sleep(START_POLL).await;
        }
    }

    /// An error when the server does not run any more.
    pub async fn fail_if_ended(&self, server: &SandboxServer) -> Result<(), SandboxError> {
        match self.keeper.engine().exec_code(&server.exec).await? {
            None => Ok(()),
            Some(code) => Err(SandboxError::Ended { sandbox: self.name().to_owned(), code, output: self.log().await }),
        }
    }

    /// The end of the server's log.
    pub async fn log(&self) -> String {
        let read = self.exec(&["tail", "-n", "30", LOG]).await;
        read.map_or_else(|error| error.to_string(), |ended| ended.stdout.text())
    }

    /// Stops the server; what it wrote stays.
    pub async fn stop(&self) -> Result<(), SandboxError> {
        let command = "exec pg_ctl --pgdata=\"$PGDATA\" --mode=fast --wait --timeout=600 --silent stop";
        self.exec_ok(&["sh", "-c", command]).await.map(drop)
    }

    /// Where the server is.
    pub fn target(&self, database: &Ident) -> Target {
        Target {
            node: NodeName::new("sandbox").expect("valid"),
            host: self.keeper.shared().here().to_string_lossy().into_owned(),
            port: spec::POSTGRES_PORT,
            database: database.clone(),
            user: SUPERUSER,
            password: Password::new(String::new()),
        }
    }

    /// A new session as superuser.
    pub async fn session(&self, database: &Ident) -> Result<Session, PostgresError> {
        Session::connect(&self.target(database)).await
    }

    /// The tools in it, which reach its server and nothing else.
    pub fn toolbox(&self) -> Toolbox {
        let server = ServerAddress {
            host: self.keeper.shared().inside().to_owned(),
            port: spec::POSTGRES_PORT,
            user: SUPERUSER.to_owned(),
            password: None,
            options: Vec::new(),
            trusted: None,
        };
        Toolbox::inside(self.keeper.clone(), Some(server))
    }

    /// Runs a command to its end, whatever it ends with; control only, for bulk data there is the toolbox.
    pub async fn exec(&self, command: &[&str]) -> Result<Ended, SandboxError> {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        Ok(self.keeper.exec(command, Vec::new()).await?)
    }

    /// Runs a command that has to succeed and gives what it printed.
    pub async fn exec_ok(&self, command: &[&str]) -> Result<String, SandboxError> {
        let ended = self.exec(command).await?;
        if ended.code == 0 {
            return Ok(ended.stdout.text());
        }
        Err(SandboxError::Command {
            command: command.join(" "),
            sandbox: self.name().to_owned(),
            code: ended.code,
            output: format!("{}\n{}", ended.stdout.text(), ended.stderr.text()).trim().to_owned(),
        })
    }

    /// Removes it with everything in it. Dropping does the same, in the background.
    pub async fn remove(self) -> Result<(), SandboxError> {
        Ok(self.keeper.remove().await?)
    }
}
