//! Commands inside a container, attached to this process's own input and output: for people at a prompt and for control
//! traffic, never for bulk data.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use super::engine::{DockerError, Engine};

/// Tells the width and height of this process's terminal.
pub type TerminalSize = fn() -> (u16, u16);

impl Engine {
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
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal.is_some()),
            env: terminal.map(|_| vec![format!("TERM={}", std::env::var("TERM").unwrap_or_else(|_| "xterm".into()))]),
            user: Some("postgres".to_owned()),
            cmd: Some(command),
            ..Default::default()
        };
        let exec = self.client().create_exec(container, options).await.map_err(failed)?;
        let start = StartExecOptions { detach: false, tty: terminal.is_some(), output_capacity: None };
        let StartExecResults::Attached { mut output, mut input } =
            self.client().start_exec(&exec.id, Some(start)).await.map_err(failed)?
        else {
            return Err(DockerError::Unexpected { doing, because: "the engine did not attach".into() });
        };
        let resizing = terminal.map(|size| tokio::spawn(follow_size(self.client().clone(), exec.id.clone(), size)));
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
            let written = match chunk.map_err(failed)? {
                LogOutput::StdErr { message } => stderr.write_all(&message).await,
                LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                    stdout.write_all(&message).await
                }
            };
            let flushed = stdout.flush().await;
            // Nobody reads our output any more (`psql | head`): there is nothing left to do.
            if written.and(flushed).is_err() {
                break;
            }
        }
        feed.abort();
        if let Some(resizing) = resizing {
            resizing.abort();
        }
        let ended = self.client().inspect_exec(&exec.id).await.map_err(failed)?;
        Ok(ended.exit_code.unwrap_or_default())
    }
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
