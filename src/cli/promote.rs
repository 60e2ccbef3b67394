//! `promote`: a replica takes the place of a primary that does not answer.

use std::collections::BTreeMap;

use serde::Serialize;

use super::args::{Cli, PromoteArgs};
use super::context::Context;
use super::failure::Failure;
use super::{exit, render, switchover};
use crate::model::cluster::Mode;
use crate::model::names::NodeName;
use crate::model::promotion::Occasion;
use crate::plan::failover::loss::Accepted;
use crate::site::Reach;
use crate::tasks::promotion::{self, Promoted, PromotionError};

/// What `--plan` shows.
#[derive(Debug, Serialize)]
struct Planned {
    from: NodeName,
    to: NodeName,
}

/// Runs the verb.
pub async fn run(cli: &Cli, args: &PromoteArgs) -> Result<u8, Failure> {
    let accepted = args.accept_data_loss.as_deref().map(accepted).transpose()?;
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let to = context.find(&args.node, &observed)?.name;
    let choice = promotion::may_be(&context.site, &observed, &to).map_err(PromotionError::Refused)?;
    if args.plan {
        let planned = Planned { from: choice.from, to: choice.to };
        if cli.json {
            render::json(&planned);
        } else {
            let Planned { from, to } = &planned;
            render::line(match choice.mode {
                Mode::Physical => format!(
                    "{from} is killed and marked, the end of its log is read and fed to {to}, which then takes its place"
                ),
                Mode::Logical => format!(
                    "{from} is killed and marked, and started once more, without taking writes; {to} applies what it still has \
                     and then takes its place"
                ),
            });
        }
        return Ok(exit::DONE);
    }
    // A verb looks once; what the old primary said before that is its agent's to know.
    let nobody = BTreeMap::new();
    let promoted =
        Box::pin(promotion::run(&context.site, &observed, &choice, accepted, &Occasion::asked_for(), &nobody)).await?;
    if cli.json {
        render::json(&promoted);
    } else {
        render::line(text(&promoted));
    }
    // Whether the old one comes back is another matter: it may be gone for good.
    switchover::complete(cli, &context, &promoted.report.from, &to).await;
    Ok(exit::DONE)
}

fn accepted(typed: &str) -> Result<Accepted, Failure> {
    match typed {
        "all" => Ok(Accepted::Any),
        _ => typed.parse().map(Accepted::Bytes).map_err(|_| {
            Failure::new(exit::USAGE, format!("`{typed}` is no number of bytes"))
                .with_help("a number of bytes, or `all`")
        }),
    }
}

fn text(promoted: &Promoted) -> String {
    let Promoted { report, lost_bytes, lost_transactions, .. } = promoted;
    let lost = match (lost_bytes, lost_transactions) {
        (Some(0), _) => "nothing was lost".to_owned(),
        (Some(bytes), Some(transactions)) => format!("{transactions} transactions ({bytes} bytes of log) were lost"),
        (Some(bytes), None) => format!("at least {bytes} bytes of log were lost"),
        (None, _) => "how much was lost is not known".to_owned(),
    };
    format!("{} took the place of {} (epoch {}); {lost}", report.to, report.from, report.epoch)
}
