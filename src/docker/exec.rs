//! Commands inside a container: attached to this process's own input and output for people at a prompt, or run to their end
//! and told what they said. Control traffic only, never bulk data.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as Bollard;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use super::engine::{DockerError, Engine};
use crate::model::tail::Tail;

/// How often the engine is asked whether a command has ended whose output has.
const END_POLL: Duration = Duration::from_millis(20);

/// What a command came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: i64,
    /// The end of what it printed.
    pub stdout: Tail,
    /// The end of what it complained about.
    pub stderr: Tail,
}

/// A command that has said its first line and waits for more input, until this is dropped.
pub struct Waiting {
    // Nobody touches it; a mutex lets it be where several threads are.
    _ends: Mutex<(Output, Input)>,
}

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Bollard>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A command that runs.
struct Attached {
    /// The name it goes by with the engine.
    id: String,
    output: Output,
    input: Input,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

/// Tells the width and height of this process's terminal.
pub type TerminalSize = fn() -> (u16, u16);

impl Engine {
    /// Runs a command as user `postgres` to its end. Of its output at most `most` bytes are kept, the last ones.
    pub async fn exec(
        &self,
        container: &str,
        command: Vec<String>,
        env: Vec<String>,
        most: usize,
    ) -> Result<Ended, DockerError> {
        let doing = format!("run {} in {container}", command.first().map_or("a command", String::as_str));
        let failed = |source| DockerError::from_bollard(doing.clone(), source);
        let options = CreateExecOptions { env: Some(env), cmd: Some(command), ..Default::default() };
        let Attached { id, mut output, .. } = self.attach(container, options, &doing).await?;
        let mut ended = Ended { code: 0, stdout: Tail::new(most), stderr: Tail::default() };
        while let Some(chunk) = output.next().await {
            match chunk.map_err(failed)? {
                LogOutput::StdErr { message } => ended.stderr.push(&message),
                LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                    ended.stdout.push(&message);
                }
            }
        }
        loop {
            if let Some(code) = self.exec_code(&id).await? {
                return Ok(Ended { code, ..ended });
            }
            tokio::time::sleep(END_POLL).await;
        }
    }

    /// Begins a command as user `postgres`, gives it this input and waits for a line of output.
    pub async fn exec_waiting(
        &self,
        container: &str,
        command: Vec<String>,
        given: &str,
    ) -> Result<(String, Waiting), DockerError> {
        let doing = format!("run {} in {container}", command.first().map_or("a command", String::as_str));
        let failed = |source| DockerError::from_bollard(doing.clone(), source);
        let options = CreateExecOptions { attach_stdin: Some(true), cmd: Some(command), ..Default::default() };
        let Attached { mut output, mut input, .. } = self.attach(container, options, &doing).await?;
        let written = input.write_all(given.as_bytes()).await.and(input.flush().await);
        written.map_err(|error| failed(error.into()))?;
        let (mut said, mut complaints) = (String::new(), Tail::default());
        while let Some(chunk) = output.next().await {
            match chunk.map_err(failed)? {
                LogOutput::StdErr { message } => complaints.push(&message),
                message => said.push_str(&message.to_string()),
            }
            if let Some((line, _)) = said.split_once('\n') {
                return Ok((line.to_owned(), Waiting { _ends: Mutex::new((output, input)) }));
            }
        }
        Err(DockerError::Unexpected { doing, because: complaints.text() })
    }

    /// Begins a command as user `postgres` whose output comes here.
    async fn attach(
        &self,
        container: &str,
        options: CreateExecOptions<String>,
        doing: &str,
    ) -> Result<Attached, DockerError> {
        let failed = |source| DockerError::from_bollard(doing, source);
        let tty = options.tty.unwrap_or_default();
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            user: Some("postgres".to_owned()),
            ..options
        };
        let id = self.client().create_exec(container, options).await.map_err(failed)?.id;
        let start = StartExecOptions { detach: false, tty, output_capacity: None };
        match self.client().start_exec(&id, Some(start)).await.map_err(failed)? {
            StartExecResults::Attached { output, input } => Ok(Attached { id, output, input }),
            StartExecResults::Detached => {
                Err(DockerError::Unexpected { doing: doing.to_owned(), because: "the engine did not attach".into() })
            }
        }
    }

    /// Begins a command as user `postgres` and leaves it alone; gives the name it goes by with the engine.
    pub async fn exec_detached(&self, container: &str, command: Vec<String>) -> Result<String, DockerError> {
        let doing = format!("begin {} in {container}", command.first().map_or("a command", String::as_str));
        let failed = |source| DockerError::from_bollard(doing.clone(), source);
        let options = CreateExecOptions { user: Some("postgres".to_owned()), cmd: Some(command), ..Default::default() };
        let exec = self.client().create_exec(container, options).await.map_err(failed)?;
        let start = StartExecOptions { detach: true, tty: false, output_capacity: None };
        self.client().start_exec(&exec.id, Some(start)).await.map_err(failed)?;
        Ok(exec.id)
    }

    /// The exit code of a command that was begun; `None` while it runs. Of one that never came to run the engine knows none, and
    /// that is an error: its output is empty and must not count as all there was.
    pub async fn exec_code(&self, exec: &str) -> Result<Option<i64>, DockerError> {
        const DOING: &str = "ask how a command ended";
        let seen = self.client().inspect_exec(exec).await;
        let seen = seen.map_err(|source| DockerError::from_bollard(DOING, source))?;
        if seen.running == Some(true) {
            return Ok(None);
        }
        let because = || "it does not run, and the engine knows no exit code".to_owned();
        let unknown = || DockerError::Unexpected { doing: DOING.to_owned(), because: because() };
        seen.exit_code.map(Some).ok_or_else(unknown)
    }

    /// Runs a command as user `postgres` and returns its exit code. With `terminal` it gets
    /// one of the size that this function tells, now and whenever it changes.
    pub async fn exec_attached(
        &self,
        container: &str,
        command: Vec<String>,
        terminal: Option<TerminalSize>,
    ) -> Result<i64, DockerError> {
        let doing = format!("run {} in {container}", command.first().map_or("a command", String::as_str));
        let failed = |source| DockerError::from_bollard(doing.clone(), source);
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            tty: Some(terminal.is_some()),
            env: terminal.map(|_| vec![format!("TERM={}", std::env::var("TERM").unwrap_or_else(|_| "xterm".into()))]),
            cmd: Some(command),
            ..Default::default()
        };
        let Attached { id, mut output, mut input } = self.attach(container, options, &doing).await?;
        let resizing = terminal.map(|size| tokio::spawn(follow_size(self.client().clone(), id.clone(), size)));
        let feed = tokio::spawn(async move {
            let mut stdin = tokio::io::stdin();
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
                if input.write_all(&buffer[..read]).await.is_err() || input.flush().await.is_err() {
                    return;
                }
            }
            // The end of our input is the end of the command's.
            let _ = input.shutdown().await;
        });
        let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
        while let Some(chunk) = output.next().await {
            // What is written and not flushed is lost when this process ends.
            let written = match chunk.map_err(failed)? {
                LogOutput::StdErr { message } => write(&mut stderr, &message).await,
                LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                    write(&mut stdout, &message).await
                }
            };
            // Nobody reads our output any more (`psql | head`): there is nothing left to do, and nobody to wait for.
            if written.is_err() {
                feed.abort();
                return Ok(self.exec_code(&id).await?.unwrap_or_default());
            }
        }
        feed.abort();
        if let Some(resizing) = resizing {
            resizing.abort();
        }
        loop {
            if let Some(code) = self.exec_code(&id).await? {
                return Ok(code);
            }
            tokio::time::sleep(END_POLL).await;
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Gives the command's terminal the size of ours, at first and after each SIGWINCH.
async fn follow_size(docker: Docker, exec: String, size: TerminalSize) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    loop {
        let (width, height) = size();
        // A terminal of the wrong size is no reason not to go on.
        let _ = docker.resize_exec(&exec, ResizeExecOptions { width, height }).await;
        if changes.recv().await.is_none() {
            return;
        }
    }
}
