//! Tools as child processes on this host.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::running::{Running, follow};
use super::stream::{Watched, WriterEnd};
use super::{APPLICATION_NAME, ServerAddress, Streams, Tool, ToolError, ToolReader, ToolWriter, major_of, version_in};
use crate::docker::exec::Ended;
use crate::docker::shared_dir;
use crate::model::tail::Tail;

/// How much a tool without a reader may print.
const MOST_OUTPUT: usize = 1024 * 1024;

/// How long a tool may take to end itself, and its work on the server, before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The programs without which a directory does not do.
const NEEDED: [&str; 5] = ["pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "psql"];

/// This host's directory with all client programs of a major version. Versioned directories come first: what is in PATH may
/// choose a version by itself.
pub(super) async fn find(major: u32) -> Option<PathBuf> {
    let versioned = [format!("/usr/lib/postgresql/{major}/bin"), format!("/usr/pgsql-{major}/bin")];
    let path = std::env::var_os("PATH").unwrap_or_default();
    for bin in versioned.into_iter().map(PathBuf::from).chain(std::env::split_paths(&path)) {
        if NEEDED.iter().all(|program| bin.join(program).is_file()) && is_of(&bin, major).await {
            return Some(bin);
        }
    }
    None
}

async fn is_of(bin: &Path, major: u32) -> bool {
    let told =
        Command::new(bin.join("pg_dump")).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await;
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    version_in(&told).and_then(major_of) == Some(major)
}

/// Tools in a directory of this host.
#[derive(Debug)]
pub(super) struct OnHost {
    bin: PathBuf,
    server: Option<ServerAddress>,
    /// For its owner only: the password file, and files for tools.
    files: TempDir,
    next: AtomicU32,
    /// While it is held, nobody takes the directory for what a killed process left.
    _lock: File,
}

const PASSWORD_FILE: &str = "pgpass";
const TRUSTED_FILE: &str = "trusted.pem";

impl OnHost {
    pub(super) fn new(bin: PathBuf, mut server: Option<ServerAddress>) -> Result<Self, ToolError> {
        shared_dir::sweep(&std::env::temp_dir());
        let files = tempfile::Builder::new()
            .prefix(&format!("{}tools-", shared_dir::PREFIX))
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .map_err(ToolError::File)?;
        let lock = shared_dir::hold(files.path()).map_err(ToolError::File)?;
        if let Some(pgpass) = server.as_ref().and_then(ServerAddress::pgpass) {
            write_secret(&files.path().join(PASSWORD_FILE), &pgpass).map_err(ToolError::File)?;
        }
        if let Some(server) = &mut server
            && let Some(trusted) = &server.trusted
        {
            let path = files.path().join(TRUSTED_FILE);
            std::fs::write(&path, trusted).map_err(ToolError::File)?;
            server.trust(path.to_string_lossy().into_owned());
        }
        Ok(Self { bin, server, files, next: AtomicU32::new(1), _lock: lock })
    }

    pub(super) fn begin(
        &self,
        tool: &Tool,
        streams: Streams,
    ) -> Result<(Option<ToolWriter>, Option<ToolReader>, Watched), ToolError> {
        let args = tool.command(self.server.as_ref(), |name, bytes| self.put(name, bytes))?;
        let mut command = Command::new(self.bin.join(&tool.program));
        command.args(args).stderr(Stdio::piped()).kill_on_drop(true);
        // What the caller's environment says about some other server must not reach this one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("PGAPPNAME", APPLICATION_NAME).env("LC_MESSAGES", "C").env_remove("LC_ALL").env_remove("LANGUAGE");
        // Without a password there is no such file, which keeps libpq from the user's own.
        command.env("PGPASSFILE", self.files.path().join(PASSWORD_FILE));
        let (mut input, mut output) = (None, None);
        if streams.input {
            let (reader, writer) = io::pipe().map_err(ToolError::File)?;
            command.stdin(reader);
            input = Some(OwnedFd::from(writer));
        } else {
            command.stdin(Stdio::null());
        }
        if streams.output {
            let (reader, writer) = io::pipe().map_err(ToolError::File)?;
            command.stdout(writer);
            output = Some(OwnedFd::from(reader));
        } else {
            command.stdout(Stdio::piped());
        }
        let child = command.spawn().map_err(|source| ToolError::Start { program: tool.program.clone(), source })?;
        // The command keeps our copies of the child's ends open.
        drop(command);
        let running = Running::new(&tool.program);
        follow(&running, run(child, running.stop.clone()));
        let watched = Watched::new(running);
        let input = input.map(|end| watched.writer(WriterEnd::Pipe(end))).transpose()?;
        let output = output.map(|end| watched.reader(end, None)).transpose()?;
        Ok((input, output, watched))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<String, ToolError> {
        let path = self.files.path().join(format!("{}-{name}", self.next.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&path, bytes).map_err(ToolError::File)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Runs a child to its end; ends it when told to stop.
async fn run(mut child: Child, stop: CancellationToken) -> Result<Ended, String> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (stdout, stderr, status) = tokio::join!(tail(stdout, MOST_OUTPUT), tail(stderr, Tail::USUAL), child.wait());
        status.map(|status| Ended { code: code(status), stdout, stderr }).map_err(|error| error.to_string())
    };
    let ended = tokio::select! {
        ended = all => Some(ended),
        () = stop.cancelled() => None,
    };
    if let Some(ended) = ended {
        return ended;
    }
    // At an interrupt all of them cancel what they do on the server.
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::INT);
    }
    if tokio::time::timeout(LAST_WORDS, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    Err("it was stopped".into())
}

fn code(status: ExitStatus) -> i64 {
    status.code().map_or_else(|| 128 + i64::from(status.signal().unwrap_or_default()), i64::from)
}

async fn tail(output: Option<impl AsyncRead + Unpin>, most: usize) -> Tail {
    let mut tail = Tail::new(most);
    let Some(mut output) = output else { return tail };
    let mut buffer = vec![0; 16 * 1024];
    // What cannot be read is missing in an error text; the exit code is what counts.
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        tail.push(&buffer[..read]);
    }
    tail
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Instant;

    use super::*;
    use crate::backup::pipeline::{Plain, Source};
    use crate::backup::tools::{Place, Toolbox, feed};

    /// A toolbox with one program that does this.
    fn program(script: &str) -> (TempDir, Toolbox) {
        let bin = tempfile::tempdir().expect("room");
        let path = bin.path().join("pg_tool");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("room");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let server = ServerAddress {
            host: "h".into(),
            port: 1,
            user: "u".into(),
            password: Some(crate::postgres::password::Password::new("correct horse")),
            options: Vec::new(),
            trusted: None,
        };
        let host = OnHost::new(bin.path().to_owned(), Some(server)).expect("room");
        (bin, Toolbox { place: Place::Host(host) })
    }

    fn tool() -> Tool {
        Tool::new("pg_tool")
    }

    /// Waits until the tool has told its process id.
    async fn pid_in(bin: &Path) -> u32 {
        loop {
            let told = std::fs::read_to_string(bin.join("pg_tool.pid")).unwrap_or_default();
            if let Ok(pid) = told.trim().parse() {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_gone(pid: u32) {
        let began = Instant::now();
        while Path::new(&format!("/proc/{pid}")).exists() {
            assert!(began.elapsed() < Duration::from_mins(1), "{pid} runs on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn all_of(mut reader: ToolReader) -> io::Result<Vec<u8>> {
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        reading.await.expect("no panic")
    }

    #[tokio::test]
    async fn what_goes_in_comes_out() {
        let (_bin, tools) = program("exec cat");
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let (input, output) = tools.through(&tool()).expect("it starts");
        let (fed, read) = tokio::join!(feed(Plain(io::Cursor::new(bytes.clone())), input), all_of(output));
        assert_eq!(fed.expect("it ends well").bytes, bytes.len() as u64);
        assert!(read.expect("it ends well") == bytes);
    }

    #[tokio::test]
    async fn a_failure_shows_at_the_end_of_what_was_read_with_the_last_words() {
        let (_bin, tools) = program("echo some rows; echo 'pg_tool: error: no more' >&2; exit 3");
        let mut reader = tools.reading(&tool()).expect("it starts");
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; 100];
            let first = reader.read(&mut bytes).expect("some rows");
            (first, reader.read(&mut bytes).map_err(|error| error.to_string()), reader.read(&mut bytes).is_err())
        });
        let failed = Err("pg_tool failed with exit code 3: pg_tool: error: no more".to_owned());
        assert_eq!(read.await.expect("no panic"), (10, failed, true));
    }

    #[tokio::test]
    async fn a_tool_that_does_not_take_everything_may_be_right_or_wrong() {
        let zeros = || Plain(io::repeat(0));
        let (_bin, tools) = program("head -c 10 >/dev/null");
        let fed = feed(zeros(), tools.writing(&tool()).expect("it starts")).await.expect("it ends well");
        assert!(!fed.is_all);
        let (_bin, tools) = program("head -c 10 >/dev/null; echo full >&2; exit 1");
        let error = feed(zeros(), tools.writing(&tool()).expect("it starts")).await.expect_err("it fails");
        assert_eq!(error.to_string(), "pg_tool failed with exit code 1: full");
    }

    #[tokio::test]
    async fn a_source_that_fails_ends_the_tool_and_is_the_cause() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the object is damaged"))
            }
        }
        // Would take the end of its input for a good one.
        let (bin, tools) = program("echo $$ >\"$0.pid\"; cat >/dev/null; : >\"$0.believed\"");
        let input = tools.writing(&tool()).expect("it starts");
        let pid = pid_in(bin.path()).await;
        let error = feed(Plain(Failing), input).await.expect_err("it fails");
        assert!(crate::error::in_one_line(&error).ends_with("the object is damaged"), "{error}");
        is_gone(pid).await;
        assert!(!bin.path().join("pg_tool.believed").exists(), "it saw the end of its input");
    }

    #[tokio::test]
    async fn a_tool_that_nobody_wants_any_more_is_ended_also_when_it_ignores_the_first_word() {
        for script in
            ["echo $$ >\"$0.pid\"; exec sleep 1000", "trap '' INT; echo $$ >\"$0.pid\"; while :; do sleep 1; done"]
        {
            let (bin, tools) = program(script);
            let reader = tools.reading(&tool()).expect("it starts");
            let pid = pid_in(bin.path()).await;
            let stopper = reader.stopper();
            let reading = tokio::spawn(all_of(reader));
            stopper.stop();
            let error = reading.await.expect("no panic").expect_err("stopped");
            assert_eq!(error.to_string(), "pg_tool was stopped");
            is_gone(pid).await;
        }
    }

    #[tokio::test]
    async fn the_password_is_in_a_file_of_its_own_and_the_callers_settings_are_not_passed_on() {
        let (_bin, tools) = program(
            "stat -c %a \"$PGPASSFILE\"; cat \"$PGPASSFILE\"; env | grep ^PG | grep -v ^PGPASSFILE; echo \"$@\"",
        );
        let database = crate::model::names::Ident::new("d").expect("valid");
        let told = tools.run(&tool().connected_to(&database)).await.expect("it ends well");
        let lines: Vec<&str> = told.lines().collect();
        let connection = "--dbname=host='h' port='1' user='u' dbname='d'";
        assert_eq!(lines, ["600", "*:*:*:u:correct horse", "PGAPPNAME=hypertide", connection]);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let (_bin, tools) = program("exit 0");
        let error = tools.run(&Tool::new("pg_nothing")).await.expect_err("no such program");
        assert_eq!(
            crate::error::in_one_line(&error),
            "cannot start pg_nothing: No such file or directory (os error 2)"
        );
    }
}
