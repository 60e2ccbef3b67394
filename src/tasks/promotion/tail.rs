//! The end of the log of a server that does not run any more: read from its volume, and fed to a standby.

use std::str::FromStr;

use bollard::models::{Mount, MountType};

use super::{FEED_PATIENCE, PromotionError};
use crate::backup::tools::shared_place;
use crate::docker::keeper::{Attached, DataVolume, Keeper, KeeperSpec};
use crate::docker::{labels, spec};
use crate::model::health::WalTail;
use crate::model::lsn::Lsn;
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::seen::Seen;
use crate::model::segment::Segment;
use crate::plan::failover::loss::Salvage;
use crate::postgres::session::Session;
use crate::postgres::succession;
use crate::site::Site;

/// Where the volume of the old primary is mounted beside the standby's.
const OLD: &str = "/old";

/// On the standby's volume: the log it is fed.
const FED: &str = "/var/lib/postgresql/data/hypertide.tail";

/// Reads where the log ends, and the commits in it, from a position on, with the tools of the replica's image; absent: there is no volume, or no log from there on.
///
/// <https://www.postgresql.org/docs/17/pgwaldump.html>: it ends with an error where the log does, which is no fault here.
pub async fn read(
    site: &Site,
    observed: &Observed,
    node: &NodeName,
    replica: &NodeName,
    from: Lsn,
) -> Result<Seen<WalTail>, PromotionError> {
    if observed.nodes.get(node).is_none_or(|seen| !seen.volume.is_present()) {
        return Ok(Seen::Absent);
    }
    let Some(image) = super::image_of(observed, replica) else { return Ok(Seen::unknown("no image to read it with")) };
    let volume = site.desired.cluster.volume(node);
    let keeper_spec = KeeperSpec {
        kind: labels::KIND_HELPER,
        cluster: Some(&site.desired.cluster),
        image: &image,
        attached: Attached::Nothing,
        volume: DataVolume::Named(&volume),
    };
    let keeper = Keeper::start(&site.engine, &shared_place(site), &keeper_spec).await?;
    let wal = format!("{}/pg_wal", spec::PGDATA);
    let names = keeper.exec(vec!["/bin/ls".into(), wal.clone()], Vec::new()).await?.stdout.text();
    let Some(oldest) = oldest_of_last_timeline(&names) else {
        keeper.remove().await?;
        return Ok(Seen::unknown(format!("{node} has no log that could be read")));
    };
    // A subscriber that has applied nothing yet is at the beginning of all logs.
    let (timeline, position, from) = (oldest.timeline, from, from.max(oldest.from()));
    let dump = |more: &str| {
        let script = format!("pg_waldump --path={wal} --timeline={timeline} --start={from} {more} 2>&1 || true");
        keeper.exec(vec!["/bin/sh".into(), "-c".into(), script], Vec::new())
    };
    let (stats, commits) =
        (dump("--stats").await, dump("--rmgr=Transaction | grep -o 'lsn: [0-9A-F/]*.*desc: COMMIT'").await);
    keeper.remove().await?;
    let (stats, commits) = (stats?.stdout.text(), commits?.stdout.text());
    let told = end(&stats).or_else(|| stats.contains("could not find a valid record after").then_some(from));
    Ok(match told {
        Some(end) => {
            // Of what is not there any more nobody knows how many there were.
            let commits = (from == position).then(|| positions(&commits));
            Seen::Present(WalTail { timeline, start: from, end, commits })
        }
        None => Seen::unknown(format!("pg_waldump said: {}", stats.trim())),
    })
}

/// The first segment there is of the timeline that was written last; those of earlier ones are on the volume as well.
fn oldest_of_last_timeline(names: &str) -> Option<Segment> {
    let segments: Vec<Segment> = names.lines().filter_map(|name| name.trim().parse().ok()).collect();
    let last = segments.iter().map(|segment| segment.timeline).max()?;
    segments.into_iter().filter(|segment| segment.timeline == last).min()
}

/// The end in `WAL statistics between 0/3000028 and 0/3000148:`.
fn end(stats: &str) -> Option<Lsn> {
    let (_, rest) = stats.split_once("WAL statistics between ")?;
    let (_, rest) = rest.split_once(" and ")?;
    Lsn::from_str(rest.split(':').next()?).ok()
}

/// Where commit records begin. A standby that has one has its beginning, so what begins at or after its position is missing.
fn positions(commits: &str) -> Vec<Lsn> {
    let begin = |line: &str| Lsn::from_str(line.strip_prefix("lsn: ")?.split(',').next()?).ok();
    // Told as ends: one byte into the record is not before it.
    commits.lines().filter_map(begin).map(|lsn| Lsn(lsn.0 + 1)).collect()
}

/// Copies the log to the standby and waits until that has replayed it. `false` when it has not in time.
pub async fn feed(
    site: &Site,
    observed: &Observed,
    salvage: &Salvage,
    to: &NodeName,
    standby: &Session,
) -> Result<bool, PromotionError> {
    let cluster = &site.desired.cluster;
    let helper = format!("{}.feed", cluster.container(to));
    // Names of segments sort as their positions do; history files come too.
    let script = format!(
        "rm -rf {FED}\n\
         mkdir {FED}\n\
         cd {OLD}/pgdata/pg_wal\n\
         for file in *; do\n\
             if [ -f \"$file\" ] && [ -s \"$file\" ]; then cp \"$file\" {FED}/; fi\n\
         done\n"
    );
    let Some(image) = observed.nodes.get(to).and_then(|seen| seen.container.present()) else { return Ok(false) };
    let mut body = spec::helper(cluster, to, &image.image_id, &script);
    body.user = Some("postgres".to_owned());
    let old = Mount {
        typ: Some(MountType::VOLUME),
        source: Some(cluster.volume(&salvage.from)),
        target: Some(OLD.to_owned()),
        read_only: Some(true),
        ..Default::default()
    };
    if let Some(host) = &mut body.host_config {
        host.mounts.get_or_insert_default().push(old);
    }
    site.engine.discard_container(&helper).await?;
    site.engine.create_container(&helper, body).await?;
    let copied = site.engine.run_helper(&helper, &format!("copying the log of {} to {to}", salvage.from)).await;
    site.engine.discard_container(&helper).await?;
    copied?;
    Ok(succession::replay_from(standby, FED, salvage.end, FEED_PATIENCE).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_read_from_what_is_there_of_the_last_timeline() {
        let names = "000000010000000000000003\n000000020000000000000005\n000000020000000000000004\n00000002.history\nsummaries\n";
        let oldest = oldest_of_last_timeline(names).expect("there are segments");
        assert_eq!((oldest.timeline, oldest.from()), (2, Lsn(0x0400_0000)));
        assert_eq!(oldest_of_last_timeline("archive_status\n"), None);
    }

    #[test]
    fn the_end_of_the_log_and_its_commits_are_read_from_what_pg_waldump_prints() {
        let stats = "WAL statistics between 0/3000028 and 0/3000148:\nType   N\n";
        assert_eq!(end(stats), Some(Lsn(0x0300_0148)));
        assert_eq!(end("pg_waldump: error: could not open file"), None);
        let commits =
            "lsn: 0/03000110, prev 0/030000D8, desc: COMMIT\nlsn: 1/00000010, prev 0/03000110, desc: COMMIT\nodd\n";
        assert_eq!(positions(commits), [Lsn(0x0300_0111), Lsn(0x1_0000_0011)]);
    }
}
