//! What the agent needs of its host, beyond the engine's socket, to do the backup jobs of a configuration and to answer over HTTP. Pure.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::model::backup::StoreUrl;
use crate::model::collecting::WatchedDatabase;
use crate::model::desired::{Desired, LogFormat};

/// The variable that chooses how a process logs.
pub const LOG_FORMAT: &str = "HYPERTIDE_LOG_FORMAT";

/// Paths of the host, and whether credentials for a bucket are of use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentNeeds {
    /// Directories that have to be the same on both sides: stores.
    pub dirs: BTreeSet<PathBuf>,
    /// Files that a copy is needed of: identities to decrypt with, certificates, what lets others in, and what lets it in elsewhere.
    pub files: BTreeSet<PathBuf>,
    /// Its environment, nothing secret: `NAME=value`.
    pub env: Vec<String>,
    /// A store is a bucket.
    pub has_bucket: bool,
}

/// What this configuration needs.
pub fn agent_needs(desired: &Desired) -> AgentNeeds {
    let mut needs = AgentNeeds::default();
    if desired.events.log_format != LogFormat::default() {
        needs.env.push(format!("{LOG_FORMAT}={}", desired.events.log_format.word()));
    }
    if desired.metrics.is_some() {
        needs.files.extend(desired.guard.files().cloned());
        needs.files.extend(desired.collecting.databases.iter().flat_map(WatchedDatabase::files).cloned());
    }
    // To tell whether endpoints show the wanted one; they have the key.
    needs.files.extend(desired.endpoint_tls.iter().map(|tls| tls.certificate.clone()));
    for job in &desired.backups {
        match &job.store.url {
            StoreUrl::Disk(dir) => drop(needs.dirs.insert(dir.clone())),
            StoreUrl::S3 { .. } => needs.has_bucket = true,
        }
        needs.files.extend(job.identity.clone());
    }
    needs
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    #[test]
    fn stores_identities_and_credentials_follow_from_the_jobs() {
        let text = "backups:\n\
             - {name: a, kind: full, store: \"file:///var/backups/a\"}\n\
             - {name: b, kind: full, store: \"file:///var/backups/a\", identity: keys/age.txt}\n\
             - {name: c, kind: schema, store: \"s3://bucket/c\"}\n";
        let desired = config::parse(text, Path::new("/etc/trading")).expect("well-formed");
        let needs = agent_needs(&desired);
        assert_eq!(needs.dirs, [PathBuf::from("/var/backups/a")].into());
        assert_eq!(needs.files, [PathBuf::from("/etc/trading/keys/age.txt")].into());
        assert!(needs.has_bucket);
        let nothing = config::parse("", Path::new("/etc/trading")).expect("well-formed");
        assert_eq!(agent_needs(&nothing), AgentNeeds::default());
    }

    #[test]
    fn its_log_is_as_the_configuration_has_it() {
        let env = |text: &str| agent_needs(&config::parse(text, Path::new("/conf")).expect("well-formed")).env;
        assert_eq!(env("events: {log_format: json}"), ["HYPERTIDE_LOG_FORMAT=json"]);
        assert_eq!((env("events: {log_format: text}"), env("")), (Vec::new(), Vec::new()));
    }

    #[test]
    fn files_for_metrics_are_needed_where_somebody_can_read_them() {
        let elsewhere =
            "databases: [{name: shop, url: 'postgres://u@h/d?sslrootcert=ca.pem', password_file: shop.txt}]";
        let guard = "tls: {certificate: a.crt, key: /etc/a.key}, basic_auth: {username: a, password_file: a.txt}, bearer_token_file: b";
        let needs = |listen: &str| {
            let text = format!("metrics: {{listen: '{listen}', {guard}, {elsewhere}}}");
            agent_needs(&config::parse(&text, Path::new("/conf")).expect("well-formed")).files
        };
        let all = ["/conf/a.crt", "/etc/a.key", "/conf/a.txt", "/conf/b", "/conf/ca.pem", "/conf/shop.txt"]
            .map(PathBuf::from);
        assert_eq!(needs("0.0.0.0:9187"), all.into());
        assert!(needs("off").is_empty());
    }
}
