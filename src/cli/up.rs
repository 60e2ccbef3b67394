//! `up`: provision or converge.

use std::time::{Duration, Instant};

use super::args::{Cli, UpArgs};
use super::context::Context;
use super::failure::Failure;
use super::progress::shown;
use super::{exit, render, status};
use crate::execute::AgentParts;
use crate::execute::agent::own_binary;
use crate::model::desired::Desired;
use crate::model::monitoring::{Monitor, Wish};
use crate::plan;
use crate::plan::agent_needs::agent_needs;
use crate::secrets;
use crate::site::Reach;
use crate::status::Status;
use crate::tasks::converge::{Goal, Outcome, converge};

/// Runs the verb.
pub async fn run(cli: &Cli, args: &UpArgs) -> Result<u8, Failure> {
    let mut context = Context::open(cli, Reach::Published).await?;
    if args.monitoring {
        ask_for_monitoring(&mut context.site.desired)?;
    }
    let parts = if args.no_agent { AgentParts::default() } else { agent_parts(&context)? };
    let digest = if args.no_agent { None } else { Some(agent_digest(&parts)?) };
    let goal = Goal {
        packs: &context.packs,
        agent: digest.as_deref().map(|digest| (&parts, digest)),
        patience: Duration::from_secs(args.wait),
    };
    if args.plan {
        let observed = context.observe().await?;
        let plan = plan::plan(&goal.wanted(&context.site), &observed);
        if cli.json {
            render::json(&plan);
        } else {
            render::line(render::plan_text(&plan));
        }
        return Ok(if plan.refusals().next().is_some() { exit::REFUSED } else { exit::DONE });
    }

    let began = Instant::now();
    let outcome = shown(cli.json, async |listener| converge(&context.site, &goal, listener).await).await?;
    report(cli, &context, &outcome, began.elapsed());
    Ok(status::converged_exit(&outcome))
}

/// `--monitoring`, as if the configuration said so.
fn ask_for_monitoring(desired: &mut Desired) -> Result<(), Failure> {
    let contradiction = if desired.monitoring.wish == Wish::Off {
        "`--monitoring` asks for what hypertide.yaml says there is not to be: `monitoring: off`"
    } else if desired.metrics.is_none() {
        "`--monitoring` has nothing to scrape: hypertide.yaml says `metrics.listen: off`"
    } else {
        desired.monitoring.wish = Wish::On;
        return Ok(());
    };
    Err(Failure::new(exit::USAGE, contradiction).with_help("leave out one of the two"))
}

/// What the agent is to be made of.
fn agent_parts(context: &Context) -> Result<AgentParts, Failure> {
    let needs = agent_needs(&context.site.desired);
    Ok(AgentParts::gather(&context.config_text, &context.config_dir, &needs, |name| std::env::var_os(name))?)
}

/// The digest that tells whether the agent's container is this binary with this configuration.
fn agent_digest(parts: &AgentParts) -> Result<String, Failure> {
    let binary = own_binary().map_err(|error| Failure::new(exit::FAILED, error.to_string()))?;
    Ok(parts.digest(&binary))
}

fn report(cli: &Cli, context: &Context, outcome: &Outcome, took: Duration) {
    let status = status::sum_up(context, &outcome.observed);
    if cli.json {
        render::json(&serde_json::json!({
            "steps_taken": outcome.taken,
            "seconds": took.as_secs_f64(),
            "status": status,
        }));
        return;
    }
    render::line(format!("{} steps in {:.1} s", outcome.taken, took.as_secs_f64()));
    render::line(render::status_text(&status));
    render::line("");
    let passfile = secrets::path(&context.site.state_dir);
    let passfile = std::path::absolute(&passfile).unwrap_or(passfile);
    let database = context.site.desired.database.as_str();
    for (what, address, role) in
        [("write", &status.endpoint.read_write, "app"), ("read", &status.endpoint.read_only, "reader")]
    {
        if let Some(address) = address {
            render::line(format!(
                "{what:<6} postgresql://{role}@{address}/{}?passfile={}",
                url_encoded(database),
                url_encoded(&passfile.display().to_string())
            ));
        }
    }
    report_monitoring(context, &status);
    render::line("next   hypertide status --watch | hypertide psql | hypertide doctor");
}

/// Where to look, and what to log in with.
fn report_monitoring(context: &Context, status: &Status) {
    for monitor in status.monitoring.iter().filter(|monitor| monitor.state == "running") {
        let login = if monitor.name == Monitor::Grafana.name() {
            let file = secrets::monitoring::path(&context.site.state_dir);
            let file = std::path::absolute(&file).unwrap_or(file);
            format!("   user admin, password in {}", file.display())
        } else {
            String::new()
        };
        render::line(format!("{:<10} {}{login}", monitor.name, monitor.url));
    }
}

/// Percent-encoded for a connection URI, slashes left as they are
/// (<https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-CONNSTRING-URIS>).
fn url_encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encoded: Vec<String> = text
        .bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    encoded.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_survives_in_a_uri() {
        assert_eq!(url_encoded("/home/a b/.hypertide/pgpass"), "/home/a%20b/.hypertide/pgpass");
        assert_eq!(url_encoded("ä?"), "%C3%A4%3F");
    }
}
