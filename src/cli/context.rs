//! What every verb begins with: configuration, engine, packs, and finding a node by what was typed.

use std::path::{Path, PathBuf};

use super::args::Cli;
use super::exit;
use super::failure::Failure;
use crate::config;
use crate::docker::engine::Engine;
use crate::model::cluster::Role;
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::pack::Pack;
use crate::plan::topology;
use crate::postgres::session::Target;
use crate::schema::packs;
use crate::site::{Reach, Site};
use crate::tasks::converge::primary_target;
use crate::verify::{self, HeldOff};

/// Everything a verb works with.
#[derive(Debug)]
pub struct Context {
    /// The cluster and how to reach it.
    pub site: Site,
    /// The packs of the configuration.
    pub packs: Vec<Pack>,
    /// The configuration's text, for the agent.
    pub config_text: String,
    /// Where it lies; what it names relative to itself counts from there.
    pub config_dir: PathBuf,
}

impl Context {
    /// Reads the configuration and its packs, then connects to Docker. Reports bad input before it needs Docker.
    pub async fn open(cli: &Cli, reach: Reach) -> Result<Self, Failure> {
        let loaded = config::load(cli.config.as_deref())?;
        let packs = packs::load(&loaded.desired.packs)?;
        let state_dir = state_dir(cli.state_dir.as_deref(), loaded.origin.as_deref());
        let engine = Engine::connect().await?;
        let config_dir = loaded.origin.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let site = Site::new(loaded.desired, engine, reach, state_dir);
        Ok(Self { site, packs, config_text: loaded.text, config_dir })
    }

    /// The same without packs, for the agent: it applies none, and a user's own are not in its container.
    pub async fn open_site(cli: &Cli, reach: Reach) -> Result<Site, Failure> {
        let loaded = config::load(cli.config.as_deref())?;
        let state_dir = state_dir(cli.state_dir.as_deref(), loaded.origin.as_deref());
        Ok(Site::new(loaded.desired, Engine::connect().await?, reach, state_dir))
    }

    /// Looks at the cluster.
    pub async fn observe(&self) -> Result<Observed, Failure> {
        Ok(crate::observe::observe(&self.site, Some(&self.packs)).await?)
    }

    /// The nodes of the cluster and the primary among them, when there is one.
    pub fn nodes(&self, observed: &Observed) -> (Vec<DesiredNode>, Option<NodeName>) {
        let nodes = topology::nodes(&self.site.desired, observed);
        let primary = topology::primary(&nodes, observed).ok();
        (nodes, primary)
    }

    /// How to log into the primary.
    pub fn primary_target(&self, observed: &Observed) -> Result<Target, Failure> {
        primary_target(&self.site, observed).ok_or_else(|| {
            Failure::new(exit::FAILED, "no primary answers")
                .with_help("`hypertide status` says why; `hypertide up` brings it back")
        })
    }

    /// Finds the node a person means: by name, or by the word `primary` or `replica`.
    pub fn find(&self, typed: &str, observed: &Observed) -> Result<DesiredNode, Failure> {
        let (nodes, primary) = self.nodes(observed);
        let found: Vec<&DesiredNode> = match typed {
            "primary" => nodes.iter().filter(|node| Some(&node.name) == primary.as_ref()).collect(),
            "replica" => nodes.iter().filter(|node| Some(&node.name) != primary.as_ref()).take(1).collect(),
            name => nodes.iter().filter(|node| node.name.as_str() == name).collect(),
        };
        let names = || nodes.iter().map(|node| node.name.to_string()).collect::<Vec<_>>().join(", ");
        found.first().map(|node| (*node).clone()).ok_or_else(|| {
            Failure::new(exit::USAGE, format!("there is no node `{typed}`"))
                .with_help(format!("the nodes are {}; `primary` and `replica` work too", names()))
        })
    }

    /// Keeps everybody from comparing a replica that is about to be copied afresh or to go, as long as the result lives.
    /// What is on record about it is forgotten.
    pub async fn hold_off(
        &self,
        replica: &NodeName,
        primary: &NodeName,
        observed: &Observed,
    ) -> Result<Option<HeldOff>, Failure> {
        let (nodes, _) = self.nodes(observed);
        match nodes.iter().find(|node| node.name == *primary) {
            Some(primary) => Ok(Some(verify::hold_off(&self.site, primary, replica).await?)),
            None => Ok(None),
        }
    }

    /// The replica a person means; without a name, the only one there is.
    pub fn find_replica(&self, typed: Option<&str>, observed: &Observed) -> Result<DesiredNode, Failure> {
        let (nodes, primary) = self.nodes(observed);
        let replicas: Vec<&DesiredNode> = nodes.iter().filter(|node| Some(&node.name) != primary.as_ref()).collect();
        let node = match (typed, replicas.as_slice()) {
            (Some(typed), _) => self.find(typed, observed)?,
            (None, [only]) => (*only).clone(),
            (None, _) => {
                let names: Vec<String> = replicas.iter().map(|node| node.name.to_string()).collect();
                return Err(Failure::new(exit::USAGE, format!("which replica? there are {}", replicas.len()))
                    .with_help(format!("name one of: {}", names.join(", "))));
            }
        };
        let seen = observed.nodes.get(&node.name);
        let is_primary = topology::following(&nodes, &node, primary.as_ref()).is_none();
        if is_primary || seen.is_some_and(|seen| topology::role(seen, false) == Role::Primary) {
            return Err(Failure::new(exit::REFUSED, format!("{} is the primary, not a replica", node.name))
                .with_help("only replicas can be removed or copied afresh"));
        }
        Ok(node)
    }
}

/// The state directory sits next to the configuration, or in the current directory when there is none.
pub fn state_dir(given: Option<&Path>, config: Option<&Path>) -> PathBuf {
    match (given, config.and_then(Path::parent)) {
        (Some(dir), _) => dir.to_owned(),
        (None, Some(parent)) => parent.join(".hypertide"),
        (None, None) => PathBuf::from(".hypertide"),
    }
}
