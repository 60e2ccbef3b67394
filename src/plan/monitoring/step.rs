//! Steps on Prometheus and Grafana, and everything their containers are made from.

use std::fmt;

use serde::Serialize;

use crate::model::digest;
use crate::model::monitoring::Monitor;

/// One thing to do with one of them. Each can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorStep {
    /// Pull the image it runs.
    ProvideImage {
        /// Which.
        reference: String,
    },
    /// Create its volume and its container, and put its configuration into that.
    Create(MonitorSpec),
    /// Start it and see that it does not end at once.
    Start,
    /// Stop it.
    Stop,
    /// Remove its container; what it keeps is on its volume.
    Remove,
}

/// Everything a container is made from; equal digests mean equal containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MonitorSpec {
    /// Which one.
    pub monitor: Monitor,
    /// The image it runs.
    pub image: String,
    /// The port of this host's loopback address that leads to it.
    pub port: u16,
    /// For how long Prometheus keeps what it was told, in seconds.
    pub retention_secs: Option<u64>,
    /// A digest of the files that are put into it, secrets left out.
    pub files: String,
    /// A digest of what the agent asks of who scrapes it.
    pub secret: Option<String>,
}

impl MonitorSpec {
    /// The digest written on the container's label.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).expect("a spec is made of strings and numbers");
        digest::short(&[text.as_bytes()])
    }
}

impl MonitorStep {
    /// The stable word for this kind of step, in JSON and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::ProvideImage { .. } => "provide_monitoring_image",
            Self::Create(_) => "create_monitoring",
            Self::Start => "start_monitoring",
            Self::Stop => "stop_monitoring",
            Self::Remove => "remove_monitoring",
        }
    }

    /// The sentence for people.
    pub(in crate::plan) fn tell(&self, monitor: Monitor, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProvideImage { reference } => write!(f, "provide the image {reference} for {monitor}"),
            Self::Create(spec) => write!(f, "create {monitor} (port {})", spec.port),
            Self::Start => write!(f, "start {monitor}"),
            Self::Stop => write!(f, "stop {monitor}"),
            Self::Remove => write!(f, "remove the container of {monitor}, keeping its volume"),
        }
    }
}
