//! `pg_receivewal` as a child of this process: begun, watched, ended.
//!
//! In: where its program is, whom it connects to, and the spool. Out: whether it runs, and its last words when it does not. It
//! finds its place by itself: after the newest file of the spool, else where its slot is.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::spool::Spool;
use crate::model::wal::SLOT;

/// The program.
const PROGRAM: &str = "pg_receivewal";

/// Where Debian keeps the programs of each major version; what it has in `/usr/bin` is a script.
const DEBIAN: &str = "/usr/lib/postgresql";

/// How long a receiver may take to write down what it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// The receiver cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// There is no such program.
    #[error("there is no {PROGRAM} here")]
    NoProgram,
    /// It could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its state could not be asked.
    #[error("cannot tell whether {PROGRAM} runs")]
    Ask(#[source] io::Error),
}

impl ReceiverError {
    /// What the user can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoProgram => Some("install PostgreSQL's client programs of the server's major version".into()),
            Self::Start { .. } | Self::Ask(_) => None,
        }
    }
}

/// Whom to receive from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The role; its password is in the file.
    pub user: String,
    /// In libpq's format.
    pub passfile: PathBuf,
}

/// One that was started. Ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    child: Child,
    last_word: Arc<Mutex<String>>,
}

impl Receiver {
    /// Starts one.
    pub fn start(upstream: &Upstream, spool: &Spool) -> Result<Self, ReceiverError> {
        let program = program()?;
        let mut child = Command::new(&program)
            .args(arguments(upstream, spool.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("LC_ALL", "C")
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| ReceiverError::Start { program, source })?;
        let last_word = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let word = last_word.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    tracing::debug!("{line}");
                    let line = line.strip_prefix("pg_receivewal: ").unwrap_or(&line);
                    // It ends by saying so, whatever the reason that it gave before.
                    if line.starts_with("error: ") && line != "error: disconnected" {
                        line.clone_into(&mut word.lock().unwrap_or_else(PoisonError::into_inner));
                    }
                }
            });
        }
        Ok(Self { child, last_word })
    }

    /// Its last words when it has ended; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<String>, ReceiverError> {
        let Some(status) = self.child.try_wait().map_err(ReceiverError::Ask)? else { return Ok(None) };
        let word = self.last_word.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Some(if word.is_empty() { format!("{PROGRAM} ended with {status}") } else { format!("{PROGRAM}: {word}") }))
    }

    /// Ends it, so that it writes down what it has.
    pub async fn stop(mut self) {
        if let Some(pid) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // It may have ended a moment ago.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn arguments(upstream: &Upstream, spool: &Path) -> Vec<String> {
    let Upstream { host, port, user, passfile } = upstream;
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    vec![
        format!("--directory={}", spool.display()),
        format!("--slot={SLOT}"),
        "--no-loop".into(),
        "--no-password".into(),
        // The slot lets go of what is here within a second.
        "--status-interval=1".into(),
        format!(
            "--dbname=host={} port={port} user={} application_name={SLOT} passfile={} connect_timeout=5 \
             keepalives_idle=2 keepalives_interval=2 tcp_user_timeout=10000",
            quoted(host),
            quoted(user),
            quoted(&passfile.to_string_lossy())
        ),
    ]
}

/// The newest of Debian's, else the one on the path.
fn program() -> Result<PathBuf, ReceiverError> {
    let majors = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = majors
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .map(|major| (major, PathBuf::from(format!("{DEBIAN}/{major}/bin/{PROGRAM}"))))
        .filter(|(_, path)| path.exists())
        .max();
    if let Some((_, path)) = newest {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(PROGRAM)).find(|path| path.exists()).ok_or(ReceiverError::NoProgram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_among_its_arguments() {
        let upstream = Upstream {
            host: "trading-primary-1".into(),
            port: 5432,
            user: "replicator".into(),
            passfile: "/it's/pgpass".into(),
        };
        let arguments = arguments(&upstream, Path::new("/spool"));
        assert!(arguments.contains(&"--no-password".to_owned()));
        let connection = arguments.last().expect("several");
        assert!(connection.contains("passfile='/it\\'s/pgpass'") && !connection.contains("password="), "{connection}");
    }
}
