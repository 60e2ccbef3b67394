//! A doctor's examination: everything `plan::doctor` judges, gathered as far as possible.
//!
//! What is missing (an engine, a configuration, a server) is a fact like any other, so nothing here fails. Changes nothing
//! but what an observation does.

mod cluster;
mod config;
mod host;

use std::path::Path;

use crate::docker;
use crate::docker::spec;
use crate::model::desired::Desired;
use crate::model::pack::Pack;
use crate::model::seen::Seen;
use crate::plan::doctor::facts::{ConfigSeen, DataPlace, Examined};
use crate::site::{Reach, Site};
pub use config::{Read, read};

/// Examines host, engine and cluster; without `desired`, the configuration is broken and only the host is looked at.
pub async fn examine(
    config: ConfigSeen,
    desired: Option<&Desired>,
    packs: Option<&[Pack]>,
    state_dir: &Path,
) -> Examined {
    let (engine_seen, engine) = docker::examine::reach().await;
    let disks = host::disks(&engine_seen, state_dir);
    let mut examined = Examined {
        config,
        engine: engine_seen,
        disks,
        passwords: host::passwords(state_dir),
        ports: Vec::new(),
        default_port: Vec::new(),
        place: DataPlace { volume: spec::VOLUME_PATH, pgdata: spec::PGDATA },
        image: Seen::Absent,
        nodes: Vec::new(),
        agent: Seen::Absent,
        observed: Seen::Absent,
    };
    let Some(desired) = desired else { return examined };
    let mut look = None;
    let mut nodes = desired.nodes.clone();
    if let Some(engine) = engine {
        look = engine.look(&desired.cluster).await.ok();
        let site = Site::new(desired.clone(), engine, Reach::Published, state_dir.to_owned());
        nodes = cluster::examine(&site, look.as_ref(), packs, &mut examined).await;
        // An observation fetches a lost password file again: what counts is what is there now.
        examined.passwords = host::passwords(state_dir);
    }
    let has_engine = look.is_some();
    let look = look.unwrap_or_default();
    examined.ports = host::ports(desired, &nodes, &look, has_engine);
    examined.default_port = host::default_port(desired, &nodes, &look).await;
    examined
}
