//! A data directory from a base backup: unpacked, put together when it is incremental, checked by PostgreSQL's own tool, and
//! recovered along the log. All of it inside a container without network, which archives nothing and follows nobody.
//!
//! In: a base backup with those it builds upon, and where to stop. Out: a server that paused there, or one of its own. Every byte
//! goes through a FIFO.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::error::RestoreError;
use super::origin::Origin;
use super::phases::Phases;
use super::place;
use super::recovery::{self, Stop, Then};
use crate::backup::manifest::Part;
use crate::backup::pipeline::Source;
use crate::backup::sandbox::{SCRATCH, Sandbox, SandboxServer};
use crate::backup::tools::Tool;
use crate::model::lsn::Lsn;
use crate::model::names::Ident;

/// Where the log is put that was fetched from the archive.
const LOG_DIR: &str = "/var/lib/postgresql/data/hypertide-wal";

/// How long a server may take to become consistent or get to its target; hours of log take minutes.
const PATIENCE: Duration = Duration::from_hours(4);

/// Between two questions whether it is there.
const POLL: Duration = Duration::from_millis(100);

/// A data directory in a container.
#[derive(Debug)]
pub struct DataDirectory<'a> {
    sandbox: &'a Sandbox,
    has_timescaledb: bool,
    keeps: bool,
}

impl<'a> DataDirectory<'a> {
    /// Unpacks a chain of backups, the whole one first. `keeps`: it is to outlive the container, so it has to be on disk at the end.
    pub async fn unpack(
        sandbox: &'a Sandbox,
        chain: &[Origin],
        keeps: bool,
        phases: &mut Phases<'_>,
    ) -> Result<Self, RestoreError> {
        phases.begin("unpack");
        let newest = chain.last().ok_or(RestoreError::NoPart { part: "base backup" })?;
        let source = &newest.manifest.source;
        let has_timescaledb = source.preload.contains("timescaledb") || source.timescaledb.is_some();
        let data = Self { sandbox, has_timescaledb, keeps };
        let name = |index: usize| {
            if chain.len() == 1 { sandbox.data_dir().to_owned() } else { format!("{SCRATCH}/hypertide-chain-{index}") }
        };
        for (index, origin) in chain.iter().enumerate() {
            let directory = name(index);
            data.run(&format!("rm -rf '{directory}' && mkdir -m 0700 '{directory}'")).await?;
            let record = origin.record(Part::Base, "base")?;
            data.untar(&directory, &record.name, origin.open(record)?).await?;
        }
        let object = newest.manifest.id.to_string();
        if chain.len() > 1 {
            phases.begin("combine");
            let parts = (0..chain.len()).fold(String::new(), |mut parts, index| {
                let _ = write!(parts, " '{}'", name(index));
                parts
            });
            let sync = if keeps { "" } else { "--no-sync" };
            data.check("pg_combinebackup", &object, &format!("{sync} --output \"$PGDATA\"{parts}")).await?;
            data.run(&format!("rm -rf{parts}")).await?;
        }
        phases.begin("pg_verifybackup");
        data.check("pg_verifybackup", &object, "--quiet \"$PGDATA\"").await?;
        Ok(data)
    }

    /// Puts files of the log where the recovery finds them, from a tar stream.
    pub async fn add_log(&self, tar: impl Source) -> Result<(), RestoreError> {
        self.run(&format!("mkdir -p '{LOG_DIR}'")).await?;
        self.untar(LOG_DIR, "the log", tar).await
    }

    /// Starts a recovery and waits until it is where it is to stop. May be called again with a later stop, after [`stop`](Self::stop).
    pub async fn recover(&self, stop: &Stop, then: Then, timeline: u32) -> Result<(), RestoreError> {
        self.run(&format!(
            "touch \"$PGDATA\"/recovery.signal && rm -f \"$PGDATA\"/standby.signal && mkdir -p '{LOG_DIR}'"
        ))
        .await?;
        let control = self.run("LC_ALL=C pg_controldata \"$PGDATA\"").await?;
        let mut settings = recovery::isolated(self.has_timescaledb);
        settings.extend(recovery::inherited(&control).iter().map(|(name, value)| format!("{name}={value}")));
        settings.push(format!("fsync={}", if self.keeps { "on" } else { "off" }));
        settings.extend(recovery::settings(stop, then, timeline, LOG_DIR));
        let server = self.sandbox.start(&settings).await?;
        self.arrive(&server, stop, then).await
    }

    /// Ends a pause: from here on it writes.
    pub async fn promote(&self) -> Result<(), RestoreError> {
        let session = self.sandbox.session(&Ident::new("postgres")?).await?;
        if state(&session).await == Some(State::Writes) {
            return Ok(());
        }
        session.run("lift the limit on statements", "set statement_timeout = 0").await?;
        Ok(session.run("promote it", "select pg_promote(true, 3600)").await?)
    }

    /// Stops it cleanly.
    pub async fn stop(&self) -> Result<(), RestoreError> {
        Ok(self.sandbox.stop().await?)
    }

    /// Takes away what only the recovery needed.
    pub async fn tidy(&self) -> Result<(), RestoreError> {
        self.run(&format!("rm -rf '{LOG_DIR}' '{SCRATCH}'/server.log")).await?;
        Ok(())
    }

    /// Waits for the pause, or for the end of recovery.
    async fn arrive(&self, server: &SandboxServer, stop: &Stop, then: Then) -> Result<(), RestoreError> {
        let database = Ident::new("postgres")?;
        let began = Instant::now();
        let mut session = None;
        while began.elapsed() < PATIENCE {
            if session.is_none() {
                session = self.sandbox.session(&database).await.ok();
            }
            let state = match &session {
                Some(session) => state(session).await,
                None => None,
            };
            match (state, then) {
                (Some(State::Paused), Then::Pause) | (Some(State::Writes), Then::Promote) => return Ok(()),
                // With nothing to stop at, the end of the log is where it was to go.
                (Some(State::Writes), Then::Pause) if *stop == Stop::End => return Ok(()),
                (Some(State::Writes), Then::Pause) => {
                    return Err(RestoreError::Recovery {
                        target: stop.to_string(),
                        said: "it was not on the way; the server became one of its own".into(),
                    });
                }
                (Some(_), _) => {}
                (None, _) => {
                    session = None;
                    if self.sandbox.fail_if_ended(server).await.is_err() {
                        return Err(RestoreError::Recovery { target: stop.to_string(), said: self.said().await });
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
        Err(RestoreError::NotReady { seconds: PATIENCE.as_secs(), said: self.said().await })
    }

    /// The last that matters of what the server printed.
    async fn said(&self) -> String {
        let log = self.sandbox.log().await;
        let matters = |line: &&str| {
            ["FATAL", "PANIC", "ERROR", "HINT", "DETAIL", "LOG:  last"].iter().any(|word| line.contains(word))
        };
        let lines: Vec<&str> = log.lines().filter(matters).map(str::trim).collect();
        lines[lines.len().saturating_sub(4)..].join("; ")
    }

    async fn run(&self, script: &str) -> Result<String, RestoreError> {
        Ok(self.sandbox.exec_ok(&["sh", "-c", script]).await?)
    }

    /// A program that looks at the backup: when it is not content, the backup is not good.
    async fn check(&self, program: &str, object: &str, arguments: &str) -> Result<(), RestoreError> {
        let script = format!("exec {program} {arguments}");
        let ran = self.sandbox.exec_ok(&["sh", "-c", &script]).await;
        ran.map(drop).map_err(|error| RestoreError::of_command(error, program, object))
    }

    async fn untar(&self, directory: &str, object: &str, tar: impl Source) -> Result<(), RestoreError> {
        let tool = Tool::new("tar").args(["-x", "-f", "-", "-C", directory]);
        place::feed(&self.sandbox.toolbox(), &tool, object, tar).await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Replays,
    Paused,
    Writes,
}

async fn state(session: &crate::postgres::session::Session) -> Option<State> {
    const ASK: &str = "select pg_is_in_recovery(), \
                       case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() = 'paused' else false end";
    let row = session.client().query_one(ASK, &[]).await.ok()?;
    Some(match (row.get(0), row.get(1)) {
        (false, _) => State::Writes,
        (true, true) => State::Paused,
        (true, false) => State::Replays,
    })
}

/// How far a server that replays has got.
pub async fn replayed(session: &crate::postgres::session::Session) -> Result<Lsn, RestoreError> {
    let ask = "select coalesce(pg_last_wal_replay_lsn(), pg_current_wal_lsn())::text";
    let row = session.client().query_one(ask, &[]).await.map_err(|error| session.failed("ask how far it is", error))?;
    let text: String = row.get(0);
    text.parse().map_err(|_| RestoreError::Odd { object: "the position of the server".into(), because: text })
}
