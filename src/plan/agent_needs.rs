//! What the agent needs of its host, beyond the engine's socket, to do the backup jobs of a configuration. Pure.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::model::backup::{BackupJob, StoreUrl};

/// Paths of the host, and whether credentials for a bucket are of use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentNeeds {
    /// Directories that have to be the same on both sides: stores.
    pub dirs: BTreeSet<PathBuf>,
    /// Files that a copy is needed of: identities to decrypt with.
    pub files: BTreeSet<PathBuf>,
    /// A store is a bucket.
    pub has_bucket: bool,
}

/// What these jobs need.
pub fn agent_needs(jobs: &[BackupJob]) -> AgentNeeds {
    let mut needs = AgentNeeds::default();
    for job in jobs {
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
        let needs = agent_needs(&desired.backups);
        assert_eq!(needs.dirs, [PathBuf::from("/var/backups/a")].into());
        assert_eq!(needs.files, [PathBuf::from("/etc/trading/keys/age.txt")].into());
        assert!(needs.has_bucket);
        assert_eq!(agent_needs(&[]), AgentNeeds::default());
    }
}
