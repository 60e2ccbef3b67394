//! Tools in a container: begun by `exec`, their data in FIFOs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::running::{Running, follow};
use super::stream::{Watched, WriterEnd};
use super::{APPLICATION_NAME, ServerAddress, Streams, Tool, ToolError, ToolReader, ToolWriter};
use crate::docker::keeper::Keeper;
use crate::docker::shared_dir::Fifo;
use crate::error::in_one_line;

/// Where the password file is in the container.
const PASSWORD_FILE: &str = "/tmp/hypertide.pgpass";

/// Where the certificates of trusted authorities are.
const TRUSTED_FILE: &str = "/tmp/hypertide.trusted.pem";

/// Ends a process: by an interrupt first, at which all of them cancel what they do on a server. `$1` holds its id, as soon as it runs.
const KILL: &str = r#"
tries=0
while [ ! -s "$1" ]; do tries=$((tries + 1)); [ "$tries" -lt 20 ] || exit 0; sleep 0.1; done
read -r pid <"$1"
kill -INT "$pid" || exit 0
tries=0
while kill -0 "$pid"; do tries=$((tries + 1)); [ "$tries" -lt 20 ] || break; sleep 0.1; done
kill -KILL "$pid"
exit 0
"#;

/// Tells the tools of this process apart, whatever container they are in.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Tools in a container.
#[derive(Debug)]
pub(super) struct Contained {
    keeper: Arc<Keeper>,
    server: Option<ServerAddress>,
}

impl Contained {
    pub(super) async fn new(keeper: Arc<Keeper>, mut server: Option<ServerAddress>) -> Result<Self, ToolError> {
        if let Some(pgpass) = server.as_ref().and_then(ServerAddress::pgpass) {
            keeper.put_secret(PASSWORD_FILE, pgpass.as_bytes()).await?;
        }
        if let Some(server) = &mut server
            && let Some(trusted) = &server.trusted
        {
            keeper.put_secret(TRUSTED_FILE, trusted.as_bytes()).await?;
            server.trust(TRUSTED_FILE.to_owned());
        }
        Ok(Self::without_password(keeper, server))
    }

    pub(super) fn without_password(keeper: Arc<Keeper>, server: Option<ServerAddress>) -> Self {
        Self { keeper, server }
    }

    pub(super) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(super) fn begin(
        &self,
        tool: &Tool,
        streams: Streams,
    ) -> Result<(Option<ToolWriter>, Option<ToolReader>, Watched), ToolError> {
        let shared = self.keeper.shared();
        let args = tool.command(self.server.as_ref(), |name, bytes| Ok(shared.put(name, bytes)?))?;
        let input = streams.input.then(|| shared.fifo()).transpose()?;
        let output = streams.output.then(|| shared.fifo()).transpose()?;

        let pid_file = format!("/tmp/hypertide.{}.pid", NEXT.fetch_add(1, Ordering::Relaxed));
        let inside = |fifo: Option<&Fifo>| fifo.map_or("/dev/null", |fifo| &fifo.inside).to_owned();
        let redirected = if streams.output { " >\"$out\"" } else { "" };
        let script = format!("echo $$ >\"$1\"; in=$2; out=$3; shift 3; exec \"$@\" <\"$in\"{redirected}");
        let mut command = vec!["/bin/sh".to_owned(), "-c".into(), script, "hypertide".into(), pid_file.clone()];
        command.extend([inside(input.as_ref()), inside(output.as_ref()), tool.program.clone()]);
        command.extend(args);
        let env = [("PGAPPNAME", APPLICATION_NAME), ("PGPASSFILE", PASSWORD_FILE), ("LC_MESSAGES", "C")];
        let env = env.map(|(name, value)| format!("{name}={value}")).to_vec();

        let running = Running::new(&tool.program);
        let watched = Watched::new(running.clone());
        // Before the tool begins: it waits in its `open` until somebody reads.
        let reader = match output {
            Some(fifo) => Some(watched.reader(fifo.open_reader()?.into(), Some(fifo))?),
            None => None,
        };
        let writer = input.map(|fifo| watched.writer(WriterEnd::Fifo(fifo))).transpose()?;
        let (keeper, stop) = (self.keeper.clone(), running.stop.clone());
        follow(&running, async move {
            let ended = tokio::select! {
                ended = keeper.exec(command, env) => Some(ended),
                () = stop.cancelled() => None,
            };
            if let Some(ended) = ended {
                return ended.map_err(|error| in_one_line(&error));
            }
            kill(&keeper, &pid_file).await;
            Err("it was stopped".into())
        });
        Ok((writer, reader, watched))
    }
}

async fn kill(keeper: &Keeper, pid_file: &str) {
    let command = ["/bin/sh", "-c", KILL, "hypertide", pid_file].map(str::to_owned).to_vec();
    // The container itself may be gone; whatever was in it is then.
    if let Err(error) = keeper.exec(command, Vec::new()).await {
        tracing::debug!(%error, "could not end a tool");
    }
}
