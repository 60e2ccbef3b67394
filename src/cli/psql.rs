//! `psql [NODE] [-- ARGS]`: the client inside the node's own container, so its version always fits.

use std::io::IsTerminal;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::args::Cli;
use super::context::Context;
use super::exit;
use super::failure::Failure;
use crate::docker::exec::TerminalSize;
use crate::plan::provision::SUPERUSER;
use crate::site::Reach;

/// Runs the verb; the exit code is psql's own.
pub async fn run(cli: &Cli, node: Option<&str>, args: &[String]) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let node = context.find(node.unwrap_or("primary"), &observed)?;
    let is_running = observed
        .nodes
        .get(&node.name)
        .and_then(|seen| seen.container.present())
        .is_some_and(|container| container.ours && container.state.is_running());
    if !is_running {
        return Err(
            Failure::new(exit::FAILED, format!("{} is not running", node.name)).with_help("`hypertide up` starts it")
        );
    }
    let mut command: Vec<String> = ["psql", "--username", SUPERUSER].map(str::to_owned).to_vec();
    // A database named among the arguments wins, since psql takes the last one.
    command.extend(["--dbname".to_owned(), context.site.desired.database.to_string()]);
    command.extend(args.iter().cloned());

    let container = context.site.desired.cluster.container(&node.name);
    let is_interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let raw = if is_interactive { RawTerminal::enter() } else { None };
    let terminal = raw.as_ref().map(|_| terminal_size as TerminalSize);
    let code = context.site.engine.exec_attached(&container, command, terminal).await;
    drop(raw);
    Ok(u8::try_from(code?).unwrap_or(exit::FAILED))
}

fn terminal_size() -> (u16, u16) {
    tcgetwinsize(std::io::stdout()).map_or((80, 24), |size| (size.ws_col, size.ws_row))
}

/// The terminal passes every key on while this lives.
struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    fn enter() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing more can be done about a terminal that refuses.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}
