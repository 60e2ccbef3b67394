//! Progress and logs on stderr: a spinner on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

use super::args::{Cli, LogLines, Verb};
use super::context::Context;
use super::render;
use crate::execute::{Event, Listener};
use crate::model::observed::Observed;
use crate::plan::monitoring::step::MonitorStep;
use crate::plan::step::{Plan, Step};
use crate::tasks::converge::{ConvergeError, execute_once};

/// Sends logs to stderr. `HYPERTIDE_LOG` overrides what the verb and `-v` choose.
pub fn start_logging(cli: &Cli) {
    let level = match (&cli.verb, cli.verbose) {
        (Verb::Agent(_), 0) | (_, 1) => "hypertide=info",
        (_, 0) => "hypertide=warn",
        (_, 2) => "hypertide=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("HYPERTIDE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match cli.log_format {
        LogLines::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        LogLines::Json => logs.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}

/// Runs work that tells about its steps, and shows them until it is done.
pub async fn shown<T>(is_json: bool, work: impl AsyncFnOnce(Listener<'_>) -> T) -> T {
    let progress = Progress::new(is_json);
    let result = work(&|event| progress.on(event)).await;
    progress.finish();
    result
}

/// Executes a plan that a verb made for itself, and shows it.
pub async fn execute_shown(
    cli: &Cli,
    context: &Context,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), ConvergeError> {
    shown(cli.json, async |listener| execute_once(&context.site, &context.packs, observed, plan, listener).await).await
}

/// Shows what is being done.
#[derive(Debug)]
struct Progress {
    bar: Option<ProgressBar>,
    is_silent: bool,
}

impl Progress {
    /// A spinner on a terminal; plain lines otherwise, or nothing with `--json`.
    fn new(is_json: bool) -> Self {
        let bar = (!is_json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, is_silent: is_json }
    }

    /// Takes note of an event.
    fn on(&self, event: Event<'_>) {
        match (event, &self.bar) {
            (Event::Began(step), Some(bar)) => bar.set_message(step.to_string()),
            (Event::Done(step), Some(bar)) => bar.println(format!("  done: {step}")),
            (Event::Progress(text), Some(bar)) => bar.set_message(text.to_owned()),
            // Minutes may pass before the first of these is done.
            (Event::Began(step), None) if takes_long(step) && !self.is_silent => {
                render::note(format!("  begun: {step}"));
            }
            (Event::Done(step), None) if !self.is_silent => render::note(format!("  done: {step}")),
            (Event::Progress(text), None) => tracing::info!("{text}"),
            (Event::Began(_) | Event::Done(_), None) | (Event::Overtaken(_), _) => {}
        }
    }

    /// Takes the spinner away.
    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

const fn takes_long(step: &Step) -> bool {
    matches!(
        step,
        Step::ProvideImage
            | Step::ProvideToolImage
            | Step::CloneStandby { .. }
            | Step::Monitor { step: MonitorStep::ProvideImage { .. }, .. }
    )
}
