//! Commands inside a container, attached to this process's own input and output: for people at a prompt and for control
//! traffic, never for bulk data.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::engine::{DockerError, Engine};

impl Engine {
    /// Runs a command as user `postgres` and returns its exit code. `tty` gives it a terminal of this size.
    pub async fn exec_attached(
        &self,
        container: &str,
        command: Vec<String>,
        tty: Option<(u16, u16)>,
    ) -> Result<i64, DockerError> {
        let doing = format!("run {} in {container}", command.first().map_or("a command", String::as_str));
        let failed = |source| DockerError::from_bollard(doing.clone(), source);
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty.is_some()),
            env: tty.map(|_| vec![format!("TERM={}", std::env::var("TERM").unwrap_or_else(|_| "xterm".into()))]),
            user: Some("postgres".to_owned()),
            cmd: Some(command),
            ..Default::default()
        };
        let exec = self.client().create_exec(container, options).await.map_err(failed)?;
        let start = StartExecOptions { detach: false, tty: tty.is_some(), output_capacity: None };
        let StartExecResults::Attached { mut output, mut input } =
            self.client().start_exec(&exec.id, Some(start)).await.map_err(failed)?
        else {
            return Err(DockerError::Unexpected { doing, because: "the engine did not attach".into() });
        };
        if let Some((width, height)) = tty {
            let size = ResizeExecOptions { width, height };
            // A terminal of the wrong size is no reason not to go on.
            let _ = self.client().resize_exec(&exec.id, size).await;
        }
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
        let ended = self.client().inspect_exec(&exec.id).await.map_err(failed)?;
        Ok(ended.exit_code.unwrap_or_default())
    }
}
