//! `logs [NODE]`: what the containers print.

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt};

use super::args::{Cli, LogsArgs};
use super::context::Context;
use super::failure::Failure;
use super::{exit, render};
use crate::model::endpoint::Access;
use crate::model::monitoring::Monitor;
use crate::site::Reach;

/// Runs the verb.
pub async fn run(cli: &Cli, args: &LogsArgs) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let observed = context.observe().await?;
    let cluster = &context.site.desired.cluster;
    let containers: Vec<(String, String)> = match args.node.as_deref() {
        Some("agent") => vec![("agent".to_owned(), cluster.agent())],
        Some(typed) if Access::from_name(typed).is_some() => {
            Access::from_name(typed).map(|access| (typed.to_owned(), cluster.endpoint(access))).into_iter().collect()
        }
        Some(typed) if Monitor::from_name(typed).is_some() => {
            Monitor::from_name(typed).map(|it| (typed.to_owned(), cluster.monitor(it))).into_iter().collect()
        }
        Some(typed) => {
            let node = context.find(typed, &observed)?;
            vec![(node.name.to_string(), cluster.container(&node.name))]
        }
        None => {
            let (nodes, _) = context.nodes(&observed);
            let exists = |name| observed.nodes.get(name).is_some_and(|seen| seen.container.is_present());
            let of_nodes = nodes
                .iter()
                .filter(|node| exists(&node.name))
                .map(|node| (node.name.to_string(), cluster.container(&node.name)));
            let of_agent = observed.agent.present().map(|_| ("agent".to_owned(), cluster.agent()));
            let of_endpoints = observed.endpoints.iter().filter(|(_, seen)| seen.container.is_present());
            let of_endpoints = of_endpoints.map(|(access, _)| (access.name().to_owned(), cluster.endpoint(*access)));
            of_nodes.chain(of_endpoints).chain(of_agent).collect()
        }
    };
    if cli.json && args.follow {
        return Err(Failure::new(exit::USAGE, "one JSON document cannot follow a log without end")
            .with_help("leave out --json or --follow"));
    }
    let (engine, tail) = (&context.site.engine, args.tail.to_string());
    let is_mixed = containers.len() > 1;
    let read = containers.iter().map(|(name, container)| {
        let tail = tail.as_str();
        async move {
            let mut kept = Vec::new();
            let mut output = engine.logs(container, tail, args.follow).boxed();
            while let Some(text) = output.try_next().await? {
                for line in text.lines() {
                    if cli.json {
                        kept.push(serde_json::json!({ "node": name, "line": line }));
                    } else {
                        render::line(if is_mixed { format!("{name} | {line}") } else { line.to_owned() });
                    }
                }
            }
            Ok::<_, Failure>(kept)
        }
    });
    let lines = try_join_all(read).await?.concat();
    if cli.json {
        render::json(&serde_json::json!({ "lines": lines }));
    }
    Ok(exit::DONE)
}
