//! What Prometheus and Grafana are configured with: the sidecar's files, which the binary carries, at the paths where they are
//! looked for.
//!
//! In: which one, and what the agent asks of who scrapes it. Out: paths and texts, none of them secret; a password is named by its
//! path, and who puts the files there adds it.

use crate::model::desired::Guard;
use crate::model::digest;
use crate::model::monitoring::Monitor;

/// Where Prometheus looks for its configuration.
pub const PROMETHEUS_CONFIG: &str = "/etc/prometheus/prometheus.yml";
/// Where Prometheus keeps what it was told.
pub const PROMETHEUS_DATA: &str = "/prometheus";
/// The password or token that the agent asks for.
pub const SCRAPE_SECRET: &str = "/etc/prometheus/agent_secret";
/// Where Grafana keeps its own database.
pub const GRAFANA_DATA: &str = "/var/lib/grafana";
/// The password of Grafana's `admin`. On its volume: it opens the database beside it, and comes back with that.
pub const GRAFANA_PASSWORD: &str = "/var/lib/grafana/hypertide_admin_password";

/// The line of the sidecar's configuration behind which it is said how the agent is asked.
const JOB: &str = "  - job_name: hypertide\n";

/// The certificate has the host's name and not the one on the cluster's network, on which there are none but our own containers.
const TLS: &str = "    scheme: https\n    tls_config: {insecure_skip_verify: true}\n";

const PROMETHEUS: &str = include_str!("../../../compose/monitoring/prometheus.yml");

const RULES: [(&str, &str); 2] = [
    ("/etc/prometheus/rules/alerts.yml", include_str!("../../../dashboards/rules/alerts.yml")),
    ("/etc/prometheus/rules/recording.yml", include_str!("../../../dashboards/rules/recording.yml")),
];

const GRAFANA: [(&str, &str); 7] = [
    (
        "/etc/grafana/provisioning/datasources/hypertide.yml",
        include_str!("../../../compose/monitoring/grafana/datasource.yml"),
    ),
    (
        "/etc/grafana/provisioning/dashboards/hypertide.yml",
        include_str!("../../../compose/monitoring/grafana/dashboards.yml"),
    ),
    ("/etc/grafana/hypertide/backups.json", include_str!("../../../dashboards/backups.json")),
    ("/etc/grafana/hypertide/cluster-overview.json", include_str!("../../../dashboards/cluster-overview.json")),
    ("/etc/grafana/hypertide/postgresql.json", include_str!("../../../dashboards/postgresql.json")),
    ("/etc/grafana/hypertide/replication.json", include_str!("../../../dashboards/replication.json")),
    ("/etc/grafana/hypertide/timescaledb.json", include_str!("../../../dashboards/timescaledb.json")),
];

/// A file in a container that everybody in there may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub path: &'static str,
    /// What is in it.
    pub text: String,
}

/// How the agent is asked.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<'a> {
    guard: &'a Guard,
}

impl<'a> Guarded<'a> {
    /// By what the configuration has the agent ask.
    pub fn of(guard: &'a Guard) -> Self {
        Self { guard }
    }

    /// The file with the password or token that lets a request in; `None`: anybody is let in. Of both the password is taken.
    pub fn secret_file(self) -> Option<&'a std::path::Path> {
        let basic = self.guard.basic_auth.as_ref().map(|basic| basic.password_file.as_path());
        basic.or(self.guard.bearer_token_file.as_deref())
    }

    /// A password or token is needed.
    pub fn has_secret(self) -> bool {
        self.secret_file().is_some()
    }

    /// Lines for the job in Prometheus' configuration.
    fn lines(self) -> String {
        let tls = if self.guard.tls.is_some() { TLS } else { "" };
        let login = match (&self.guard.basic_auth, &self.guard.bearer_token_file) {
            (Some(basic), _) => {
                // JSON's strings are YAML's as well.
                let name = serde_json::Value::from(basic.username.as_str());
                format!("    basic_auth: {{username: {name}, password_file: {SCRAPE_SECRET}}}\n")
            }
            (None, Some(_)) => {
                format!("    authorization: {{type: Bearer, credentials_file: {SCRAPE_SECRET}}}\n")
            }
            (None, None) => String::new(),
        };
        format!("{tls}{login}")
    }
}

/// The files of one of them.
pub fn of(monitor: Monitor, guard: &Guard) -> Vec<Placed> {
    let as_it_is = |(path, text): &(&'static str, &str)| Placed { path, text: (*text).to_owned() };
    match monitor {
        Monitor::Prometheus => {
            let (before, after) = PROMETHEUS.split_once(JOB).expect("the sidecar has this job; a test says so");
            let text = [before, JOB, &Guarded::of(guard).lines(), after].concat();
            let config = Placed { path: PROMETHEUS_CONFIG, text };
            std::iter::once(config).chain(RULES.iter().map(as_it_is)).collect()
        }
        Monitor::Grafana => GRAFANA.iter().map(as_it_is).collect(),
    }
}

/// Tells files from others.
pub fn digest(files: &[Placed]) -> String {
    let parts = files.iter().flat_map(|file| [file.path.as_bytes(), b"\0", file.text.as_bytes(), b"\0"]);
    digest::short(&parts.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::model::desired::{BasicAuth, TlsFiles};

    fn prometheus(guard: &Guard) -> String {
        of(Monitor::Prometheus, guard).remove(0).text
    }

    #[test]
    fn an_agent_that_asks_for_nothing_is_scraped_as_the_sidecar_does() {
        assert_eq!(prometheus(&Guard::default()), PROMETHEUS);
    }

    #[test]
    fn what_the_agent_asks_for_is_given_and_no_secret_is_in_the_text() {
        let basic = BasicAuth { username: "a \"b\"".into(), password_file: "/secrets/p".into() };
        let tls = TlsFiles { certificate: "/c".into(), key: "/k".into() };
        let guard = Guard { tls: Some(tls), basic_auth: Some(basic), bearer_token_file: Some("/secrets/t".into()) };
        let text = prometheus(&guard);
        let job = "  - job_name: hypertide\n    scheme: https\n    tls_config: {insecure_skip_verify: true}\n    \
                   basic_auth: {username: \"a \\\"b\\\"\", password_file: /etc/prometheus/agent_secret}\n    static_configs";
        assert!(text.contains(job), "{text}");
        assert!(!text.contains("/secrets"), "{text}");
        assert_eq!(Guarded::of(&guard).secret_file(), Some(Path::new("/secrets/p")));
        let token = Guard { bearer_token_file: Some(PathBuf::from("/secrets/t")), ..Guard::default() };
        let line = "    authorization: {type: Bearer, credentials_file: /etc/prometheus/agent_secret}\n";
        assert!(prometheus(&token).contains(line));
        assert_ne!(digest(&of(Monitor::Prometheus, &token)), digest(&of(Monitor::Prometheus, &guard)));
    }

    /// What `compose/sidecar.yml` mounts is what this binary puts there.
    #[test]
    fn the_binary_carries_every_file_that_the_sidecar_mounts_at_the_same_place() {
        let sidecar = include_str!("../../../compose/sidecar.yml");
        let mounts = sidecar.lines().filter_map(|line| line.trim().strip_prefix("- ")?.strip_suffix(":ro"));
        let mounted: BTreeSet<(&str, &str)> = mounts
            .filter_map(|mount| mount.split_once(':'))
            .filter(|(_, place)| place.starts_with("/etc/prometheus") || place.starts_with("/etc/grafana"))
            .collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose");
        let carried: Vec<Placed> =
            Monitor::ALL.into_iter().flat_map(|monitor| of(monitor, &Guard::default())).collect();
        assert_eq!(mounted.len(), carried.len());
        for (file, place) in mounted {
            let text = std::fs::read_to_string(root.join(file)).expect("the sidecar mounts what there is");
            let there = carried.iter().find(|carried| carried.path == place);
            assert_eq!(there.map(|there| there.text == text), Some(true), "{place}");
        }
    }
}
