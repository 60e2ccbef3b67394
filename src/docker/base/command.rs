//! Runs a program of the host and passes its output on, line by line.
//!
//! In: a program, its arguments, somebody to tell. Out: nothing, or an error with the last lines. The program gets no
//! input, the environment of this process (`http_proxy` among it), and dies with the future that waits for it.

use std::cell::RefCell;
use std::ffi::OsString;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

use crate::docker::image::{ImageError, Tail};

/// Where programs for root live; often missing from the `PATH` of services.
const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(ROOT_PATH);
    path
}

/// The host has such a program.
pub(super) fn exists(program: &str) -> bool {
    std::env::split_paths(&search_path()).any(|directory| directory.join(program).is_file())
}

/// Runs it to its end.
pub(super) async fn run(program: &str, arguments: &[&str], report: &dyn Fn(String)) -> Result<(), ImageError> {
    let line = [&[program], arguments].concat().join(" ");
    let refused = |source| ImageError::Start { command: line.clone(), source };
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", search_path())
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(refused)?;
    let output = child.stdout.take().expect("stdout is piped");
    let complaints = child.stderr.take().expect("stderr is piped");
    let tail = RefCell::new(Tail::default());
    tokio::join!(pass_on(output, &tail, report), pass_on(complaints, &tail, report));
    let status = child.wait().await.map_err(refused)?;
    if status.success() {
        return Ok(());
    }
    Err(ImageError::Command { command: line, status: status.to_string(), tail: tail.into_inner() })
}

/// Until the stream ends; what cannot be read is not worth failing for, the exit status decides.
async fn pass_on(stream: impl AsyncRead + Unpin, tail: &RefCell<Tail>, report: &dyn Fn(String)) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await.is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        tail.borrow_mut().push(&text);
        report(text);
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passes_every_line_on_and_says_why_it_failed() {
        let told = RefCell::new(Vec::new());
        let failed = run("sh", &["-c", "echo one; echo two >&2; exit 3"], &|line| {
            told.borrow_mut().push(line);
        })
        .await
        .expect_err("exit 3");
        let mut told = told.into_inner();
        told.sort();
        assert_eq!(told, ["one", "two"]);
        let text = failed.to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("  two"), "{text}");
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error_of_its_own() {
        let failed = run("no-such-program", &[], &|_| ()).await.expect_err("none");
        assert!(matches!(failed, ImageError::Start { .. }), "{failed}");
        assert!(!exists("no-such-program"));
        assert!(exists("sh"));
    }
}
