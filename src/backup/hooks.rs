//! Telling others how a run ended: a program gets the result on its standard input, a web service as the body of a POST.
//!
//! What they do with it does not count: a hook that fails is logged, and the run stays what it was. Nothing here retries.

use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::io::AsyncWriteExt;

use crate::error::in_one_line;
use crate::model::backup::Hook;
use crate::webhook::{self, WebhookError};

/// A hook that takes longer is ended.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes of a program's complaint that are logged.
const COMPLAINT: usize = 500;

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// `backup_succeeded` or `backup_failed`.
    pub event: &'static str,
    /// The cluster.
    pub cluster: String,
    /// The job.
    pub job: String,
    /// What it makes.
    pub kind: &'static str,
    /// Where it goes.
    pub store: String,
    /// The backup that was made.
    pub backup: Option<String>,
    /// When the last attempt began.
    pub began: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// Attempts for this time of the schedule.
    pub attempts: u32,
    /// Bytes it stored.
    pub stored_bytes: Option<u64>,
    /// Rows in it.
    pub rows: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A hook did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The program could not be started or fed.
    #[error("cannot run the hook {program}")]
    Run {
        /// Its name.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It ended with another code than 0.
    #[error("the hook {program} ended with {code}: {complaint}")]
    Failed {
        /// Its name.
        program: String,
        /// How it ended.
        code: String,
        /// The end of what it said.
        complaint: String,
    },
    /// The web service did not take it.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// It took too long.
    #[error("{what} took longer than {} s", PATIENCE.as_secs())]
    Slow {
        /// What.
        what: String,
    },
}

/// Tells all of them, one after the other; what fails is logged.
pub async fn tell(hooks: &[Hook], event: &Event) {
    let body = serde_json::to_string(event).expect("keys are text and numbers are finite");
    for hook in hooks {
        let told = tokio::time::timeout(PATIENCE, async {
            match hook {
                Hook::Command(words) => command(words, &body).await,
                Hook::Webhook(url) => Ok(webhook::post(url, &body).await?),
            }
        });
        let told = told.await.unwrap_or_else(|_| Err(HookError::Slow { what: name(hook) }));
        if let Err(error) = told {
            tracing::warn!(job = event.job, "{}", in_one_line(&error));
        }
    }
}

fn name(hook: &Hook) -> String {
    match hook {
        Hook::Command(words) => format!("the hook {}", words.first().map_or("", String::as_str)),
        Hook::Webhook(url) => webhook::host(url),
    }
}

async fn command(words: &[String], body: &str) -> Result<(), HookError> {
    let Some((program, args)) = words.split_first() else { return Ok(()) };
    let failed = |source| HookError::Run { program: program.clone(), source };
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(body.as_bytes()).await {
            // It does not want to know.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.map_err(failed)?,
        }
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let from = said.char_indices().rev().nth(COMPLAINT).map_or(0, |(place, _)| place);
    let complaint = said[from..].trim().to_owned();
    Err(HookError::Failed { program: program.clone(), code: output.status.to_string(), complaint })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use axum::Router;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn event() -> Event {
        let began = DateTime::from_timestamp(1_795_227_300, 0).expect("in range");
        Event {
            event: "backup_failed",
            cluster: "trading".into(),
            job: "nightly".into(),
            kind: "full",
            store: "file:///b".into(),
            backup: None,
            began,
            finished: began,
            attempts: 3,
            stored_bytes: None,
            rows: None,
            error: Some("disk full".into()),
        }
    }

    #[tokio::test]
    async fn a_program_gets_the_result_on_its_standard_input() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("told");
        let words = ["sh", "-c", "cat > \"$0\"", &file.display().to_string()].map(str::to_owned).to_vec();
        tell(&[Hook::Command(words)], &event()).await;
        let told: serde_json::Value = serde_json::from_slice(&std::fs::read(file).expect("written")).expect("JSON");
        assert_eq!((told["job"].as_str(), told["error"].as_str()), (Some("nightly"), Some("disk full")));
        assert_eq!((told["event"].as_str(), told["attempts"].as_u64()), (Some("backup_failed"), Some(3)));
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        let words = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
        let error = command(&words("echo no mail here >&2; exit 3"), "{}").await.expect_err("it fails").to_string();
        assert_eq!(error, "the hook sh ended with exit status: 3: no mail here");
        command(&words("exec true"), &"x".repeat(1 << 20)).await.expect("what it does not read is its own affair");
        let missing = command(&["/does/not/exist".to_owned()], "{}").await.expect_err("it is not there");
        assert_eq!(missing.to_string(), "cannot run the hook /does/not/exist");
    }

    #[tokio::test]
    async fn a_web_service_gets_the_result_as_json() {
        type Bodies = Arc<Mutex<Vec<String>>>;
        async fn take(State(bodies): State<Bodies>, body: String) -> StatusCode {
            bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
            StatusCode::NO_CONTENT
        }
        let bodies = Bodies::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/hook/{token}", post(take)).with_state(bodies.clone());
        let (stop, limits) = (CancellationToken::new(), crate::http::Limits::default());
        let asking = async {
            tell(&[Hook::Webhook(format!("http://{address}/hook/secret"))], &event()).await;
            let refused =
                webhook::post(&format!("http://{address}/nothing/secret"), "{}").await.expect_err("no such path");
            assert_eq!(refused.to_string(), format!("{address} answered 404 Not Found"));
            stop.cancel();
        };
        let (served, ()) = tokio::join!(crate::http::serve(&listener, router, None, limits, &stop), asking);
        served.expect("it served");
        let told = bodies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("\"job\":\"nightly\""), "{told:?}");
    }
}
