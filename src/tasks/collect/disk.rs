//! How full the file system is that holds a node's data: asked in the node's own container, where it is mounted.
//!
//! Of a server that does not answer it is told all the same: a full disk may be why.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::docker::engine::DockerError;
use crate::docker::spec::VOLUME_PATH;
use crate::error::in_one_line;
use crate::metrics::Collected;
use crate::metrics::collected::Gathered;
use crate::metrics::disk::{self, COMMAND, DISK, UnknownRoom};
use crate::model::names::NodeName;
use crate::site::Site;

/// Disks fill in hours, and each question starts a process.
const INTERVAL: Duration = Duration::from_mins(1);
/// A frozen container does not answer at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// What it says is one line.
const MOST: usize = 4096;

#[derive(Debug, thiserror::Error)]
enum DiskError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    #[error("{container} did not say within {} s how full its disk is", PATIENCE.as_secs())]
    Silent { container: String },
    #[error("{container} cannot say how full its disk is: {complaint}")]
    Refused { container: String, complaint: String },
    #[error("cannot read what {container} says of its disk")]
    Odd { container: String, source: UnknownRoom },
}

/// Asks for ever.
pub(super) async fn run(site: &Site, node: &NodeName, publish: &watch::Sender<Collected>) -> Infallible {
    let container = site.desired.cluster.container(node);
    let mut last_word = String::new();
    loop {
        let (began, at) = (Instant::now(), SystemTime::now());
        let word = match ask(site, node, &container).await {
            Ok(samples) => {
                let (took, samples) = (began.elapsed(), Arc::new(samples));
                let answer = Gathered { began, at, took, holds_for: INTERVAL + PATIENCE * 2, samples };
                publish.send_modify(|collected| collected.gathered(node, DISK, answer));
                String::new()
            }
            Err(error) => {
                publish.send_modify(|collected| collected.missed(node, DISK));
                in_one_line(&error)
            }
        };
        if word != last_word {
            tracing::debug!(%node, "disk: {word}");
            last_word = word;
        }
        tokio::time::sleep_until((began + INTERVAL).into()).await;
    }
}

async fn ask(
    site: &Site,
    node: &NodeName,
    container: &str,
) -> Result<Vec<crate::metrics::families::Sample>, DiskError> {
    let command = COMMAND.into_iter().chain([VOLUME_PATH]).map(str::to_owned).collect();
    let asking = site.engine.exec(container, command, Vec::new(), MOST);
    let ended = tokio::time::timeout(PATIENCE, asking).await;
    let ended = ended.map_err(|_| DiskError::Silent { container: container.to_owned() })??;
    if ended.code != 0 {
        return Err(DiskError::Refused { container: container.to_owned(), complaint: ended.stderr.text() });
    }
    let odd = |source| DiskError::Odd { container: container.to_owned(), source };
    disk::read(node.as_str(), &ended.stdout.text()).map_err(odd)
}
