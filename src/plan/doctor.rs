//! What is wrong with a host or a cluster: from the facts of an examination to findings.
//!
//! In: [`Examined`] and what is wanted. Out: [`Finding`]s, the good ones too, in the order of [`Check`]. Looks at nothing
//! itself and changes nothing.

mod cluster;
mod engine;
pub mod facts;
mod passwords;
mod ports;
mod room;
mod servers;
mod settings;
mod storage;
#[cfg(test)]
mod testing;
mod units;

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::desired::Desired;
use crate::model::pack::Pack;
use facts::{ConfigSeen, Examined};

/// What was checked; its word is part of the contract of `doctor --json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The configuration and the packs it names.
    Config,
    /// The Docker engine.
    Engine,
    /// Host ports of the nodes and of the agent.
    Ports,
    /// Another server at PostgreSQL's own port.
    DefaultPort,
    /// Room on file systems.
    Disk,
    /// Memory for shared buffers.
    Memory,
    /// The database image.
    Image,
    /// Data volumes and where they are mounted.
    Volumes,
    /// Servers answer.
    Server,
    /// TimescaleDB is preloaded.
    Preload,
    /// The installed extension.
    Extension,
    /// What keeps data intact over a crash.
    Durability,
    /// The database's encoding.
    Encoding,
    /// Server settings as configured.
    Settings,
    /// Clocks.
    Clock,
    /// What a plan holds or would do.
    Cluster,
    /// The state directory.
    Passwords,
    /// The agent's container.
    Agent,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, and somebody should know.
    Warning,
    /// Does not work, or puts data at risk.
    Problem,
}

/// One result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// How grave it is.
    pub severity: Severity,
    /// What was found, in a sentence.
    pub text: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Every finding there is; without `desired` the configuration is broken, and only the host is judged.
pub fn findings(examined: &Examined, desired: Option<&Desired>, packs: Option<&[Pack]>) -> Vec<Finding> {
    let mut findings = config(&examined.config);
    findings.push(engine::engine(&examined.engine));
    findings.extend(examined.disks.iter().map(room::disk));
    if let Some(desired) = desired {
        findings.extend(ports::ports(&examined.ports));
        findings.extend(ports::default_port(&examined.default_port, &examined.ports));
        findings.extend(room::memory(examined, desired));
        findings.extend(storage::image(&examined.image, examined.place));
        findings.extend(storage::volumes(examined, desired));
        findings.extend(servers::servers(&examined.nodes));
        findings.extend(servers::clocks(&examined.nodes));
        findings.extend(settings::drift(&examined.nodes, &desired.settings));
        findings.extend(cluster::agent(examined, desired));
        findings.extend(passwords::passwords(&examined.passwords, examined.is_provisioned()));
        findings.extend(cluster::cluster(examined, desired, packs, &findings));
    }
    findings.sort_by_key(|finding| finding.check);
    findings
}

/// No finding is a problem.
pub fn is_healthy(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity < Severity::Problem)
}

fn config(config: &ConfigSeen) -> Vec<Finding> {
    let mut findings: Vec<Finding> = config
        .mistakes
        .iter()
        .map(|mistake| Finding {
            help: mistake.help.clone(),
            ..Finding::problem(Check::Config, mistake.text.clone(), "")
        })
        .collect();
    if findings.is_empty() {
        findings.push(match &config.origin {
            Some(origin) => Finding::ok(Check::Config, format!("{} is valid", origin.display())),
            None => Finding::ok(Check::Config, "no configuration file; everything has its default"),
        });
    }
    findings
}

impl Finding {
    fn ok(check: Check, text: impl Into<String>) -> Self {
        Self { check, severity: Severity::Ok, text: text.into(), help: None }
    }

    fn warning(check: Check, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { check, severity: Severity::Warning, text: text.into(), help: Some(help.into()) }
    }

    fn problem(check: Check, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, ..Self::warning(check, text, help) }
    }
}

impl Check {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Engine => "engine",
            Self::Ports => "ports",
            Self::DefaultPort => "default_port",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Image => "image",
            Self::Volumes => "volumes",
            Self::Server => "server",
            Self::Preload => "preload",
            Self::Extension => "extension",
            Self::Durability => "durability",
            Self::Encoding => "encoding",
            Self::Settings => "settings",
            Self::Clock => "clock",
            Self::Cluster => "cluster",
            Self::Passwords => "passwords",
            Self::Agent => "agent",
        }
    }
}

impl Severity {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
