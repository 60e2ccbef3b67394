//! Where a backup comes back to life: a throw-away server of our own, or the primary of a cluster. The same few calls for both.
//!
//! In: names of databases, programs and their arguments, readers. Out: sessions, and whether the program was content. Decides nothing.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::RestoreError;
use crate::backup::pipeline::{Source, StopOnDrop};
use crate::backup::sandbox::Sandbox;
use crate::backup::tools::{Tool, ToolError, ToolWriter, Toolbox};
use crate::model::names::Ident;
use crate::postgres::session::{Session, Target};

/// How long a database may take to let go of its last session.
const LEAVE_PATIENCE: Duration = Duration::from_secs(30);

/// What is copied at a time.
const COPY_BYTES: usize = 256 * 1024;

/// A server, and the tools for it.
#[derive(Debug)]
pub struct Place {
    tools: Toolbox,
    target: Target,
}

impl Place {
    /// A server in a container without network.
    pub fn sandbox(sandbox: &Sandbox) -> Self {
        let target = sandbox.target(&Ident::new("postgres").expect("valid"));
        Self { tools: sandbox.toolbox(), target }
    }

    /// A server that is there already; the target's database does not matter.
    pub fn server(tools: Toolbox, target: Target) -> Self {
        Self { tools, target }
    }

    /// A session to a database, without a limit on how long statements run.
    pub async fn session(&self, database: &Ident) -> Result<Session, RestoreError> {
        let session = Session::connect(&Target { database: database.clone(), ..self.target.clone() }).await?;
        session.run("lift the limit on statements", "set statement_timeout = 0").await?;
        Ok(session)
    }

    /// Runs a client program with this as its input, and insists that it is content.
    pub async fn feed(&self, tool: &Tool, object: &str, source: impl Source) -> Result<(), RestoreError> {
        feed(&self.tools, tool, object, source).await
    }

    /// Runs a client program and gives what it printed, which is not much.
    pub async fn read(&self, tool: &Tool) -> Result<String, RestoreError> {
        Ok(self.tools.run(tool).await?)
    }

    /// Creates a database, empty, in UTF-8.
    pub async fn create(&self, database: &Ident) -> Result<(), RestoreError> {
        let sql = format!("create database {} template template0 encoding 'UTF8'", database.quoted());
        Ok(self.maintenance().await?.run(&format!("create the database {database}"), &sql).await?)
    }

    /// Removes a database; one that is not there is fine.
    pub async fn remove(&self, database: &Ident) -> Result<(), RestoreError> {
        let sql = format!("drop database if exists {} with (force)", database.quoted());
        let session = self.maintenance().await?;
        let began = Instant::now();
        loop {
            match session.run(&format!("remove the database {database}"), &sql).await {
                Ok(()) => return Ok(()),
                Err(error) if began.elapsed() > LEAVE_PATIENCE => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "once more"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A session to the database that is always there.
    pub async fn maintenance(&self) -> Result<Session, RestoreError> {
        self.session(&Ident::new("postgres")?).await
    }
}

/// The same for a toolbox by itself.
///
/// The source is read to its end also when the program needs no more of it: an object is what was stored only when all of it was
/// read.
pub(super) async fn feed(tools: &Toolbox, tool: &Tool, object: &str, source: impl Source) -> Result<(), RestoreError> {
    let mut input = tools.writing(tool)?;
    let program = input.program().to_owned();
    let _stop_source = StopOnDrop::new(source.stopper());
    let mut stop_tool = StopOnDrop::new(input.stopper());
    let (tell, outcome) = oneshot::channel();
    let name = program.clone();
    let work = move || {
        pour(source, &mut input).map_err(|source| ToolError::Source { program: name, source })?;
        input.finish().map(drop)
    };
    let spawned = std::thread::Builder::new().name("feed".into()).spawn(move || {
        // Nobody listens any more when the restore was given up.
        let _ = tell.send(work());
    });
    spawned.map_err(|source| ToolError::Start { program: program.clone(), source })?;
    let fed = outcome.await.unwrap_or_else(|_| Err(ToolError::Lost { program, because: "its thread ended".into() }));
    stop_tool.disarm();
    fed.map_err(|error| RestoreError::of_tool(error, object))
}

/// Copies everything; what the program does not want any more is read all the same.
fn pour(mut source: impl Source, input: &mut ToolWriter) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut is_wanted = true;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) if is_wanted => is_wanted = input.write_all(&buffer[..read]).is_ok(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
