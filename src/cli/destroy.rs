//! `destroy --yes`: remove the cluster with all its data, and nothing else.

use super::args::Cli;
use super::context::Context;
use super::failure::Failure;
use super::{exit, render};
use crate::secrets;
use crate::site::Reach;

/// Runs the verb. Only what carries the cluster's label is removed.
pub async fn run(cli: &Cli, yes: bool) -> Result<u8, Failure> {
    let context = Context::open(cli, Reach::Published).await?;
    let site = &context.site;
    let cluster = &site.desired.cluster;
    let look = site.engine.look(cluster).await?;
    let containers: Vec<&String> =
        look.containers.iter().filter(|(_, container)| container.seen.ours).map(|(name, _)| name).collect();
    let volumes: Vec<&String> =
        look.volumes.iter().filter(|(_, volume)| volume.seen.ours).map(|(name, _)| name).collect();
    let networks: Vec<&String> = look.networks.iter().filter(|(_, owned)| owned.ours).map(|(name, _)| name).collect();
    if !yes {
        let all: Vec<&str> =
            [&containers, &volumes, &networks].into_iter().flatten().map(|name| name.as_str()).collect();
        let what = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
        return Err(Failure::new(exit::REFUSED, format!("this would remove {what}, with all data in it"))
            .with_help("`hypertide destroy --yes` does it"));
    }
    // The agent first, so that it does not bring anything back.
    let agent = cluster.agent();
    let ordered =
        containers.iter().filter(|name| ***name == agent).chain(containers.iter().filter(|name| ***name != agent));
    for name in ordered {
        site.engine.discard_container(name).await?;
    }
    for name in &volumes {
        site.engine.remove_volume(name).await?;
    }
    for name in &networks {
        site.engine.remove_network(name).await?;
    }
    // The passwords open nothing any more.
    for file in [secrets::path(&site.state_dir), secrets::monitoring::path(&site.state_dir)] {
        if let Err(error) = std::fs::remove_file(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %file.display(), %error, "could not remove the password file");
        }
    }
    if cli.json {
        render::json(&serde_json::json!({ "containers": containers, "volumes": volumes, "networks": networks }));
    } else {
        render::line(format!(
            "removed {} containers, {} volumes and {} networks of cluster {cluster}",
            containers.len(),
            volumes.len(),
            networks.len()
        ));
    }
    Ok(exit::DONE)
}
