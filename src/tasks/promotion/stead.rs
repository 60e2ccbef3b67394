//! A server of our own making on the volume of an old primary whose own container does not come up: its image or its configuration is
//! broken, or the container is gone.
//!
//! In: a volume that is marked, and the replica whose image it is run from. Out: a server that is reached as the old primary was, by us and
//! by the replica's subscription. With the mark it takes no writes. It has the old primary's port on the host, so as long as it runs nobody
//! can start the old container beside it, and it ends with this process. It reads nothing of the node's own configuration, except
//! `postgresql.auto.conf`, which PostgreSQL always reads: one that cannot be read is set aside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::logical::{PAUSE, WAKE_PATIENCE};
use crate::backup::tools::shared_place;
use crate::docker::image;
use crate::docker::keeper::{Attached, DataVolume, Keeper, KeeperSpec};
use crate::docker::{labels, spec};
use crate::error::in_one_line;
use crate::model::desired::DesiredNode;
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::plan::{Wanted, container};
use crate::postgres::session::{Session, Target};
use crate::site::Site;

/// What the server says.
const LOG: &str = "/tmp/postgresql.log";

/// What the recovery of a standby needs as much of as the primary had.
const AS_MUCH: [(&str, &str); 5] = [
    ("max_connections", "max_connections"),
    ("max_worker_processes", "max_worker_processes"),
    ("max_wal_senders", "max_wal_senders"),
    ("max_prepared_transactions", "max_prepared_xacts"),
    ("max_locks_per_transaction", "max_locks_per_xact"),
];

/// Whatever the node's own settings are: it is reached as a node is, follows nobody, and its slots lose nothing.
const OWN_SETTINGS: [&str; 19] = [
    "config_file=/tmp/postgresql.conf",
    "hba_file=/tmp/pg_hba.conf",
    "unix_socket_directories=/tmp",
    "listen_addresses=*",
    "port=5432",
    "ssl=off",
    "logging_collector=off",
    "log_destination=stderr",
    "wal_level=logical",
    "hot_standby=on",
    "primary_conninfo=",
    "primary_slot_name=",
    "restore_command=",
    "recovery_min_apply_delay=0",
    "sync_replication_slots=off",
    "synchronous_standby_names=",
    "archive_mode=off",
    "max_slot_wal_keep_size=-1",
    "timescaledb.max_background_workers=0",
];

/// A server that was begun.
#[derive(Debug)]
pub(super) struct Stead {
    keeper: Arc<Keeper>,
    exec: String,
}

impl Stead {
    /// Begins one on the volume of `from`, from the image of `to`.
    ///
    /// # Errors
    /// Why not, for people.
    pub(super) async fn start(
        site: &Site,
        observed: &Observed,
        from: &DesiredNode,
        to: &NodeName,
    ) -> Result<Self, String> {
        let cluster = &site.desired.cluster;
        let volume = observed.nodes.get(&from.name).and_then(|seen| seen.volume.present()).ok_or("it has no volume")?;
        let replica = observed.nodes.get(to).and_then(|seen| seen.container.present());
        let image = replica.map(|container| container.image_id.clone()).ok_or("the replica has no container")?;
        let facts = image::facts(site.engine.client(), &image).await.map_err(|error| in_one_line(&error))?;
        let facts = facts.present().ok_or("the replica's image is gone")?;
        if let Some(mismatch) = container::volume_mismatch(volume, facts) {
            return Err(mismatch.to_string());
        }
        let own = cluster.container(&from.name);
        let keeper_spec = KeeperSpec {
            kind: labels::KIND_HELPER,
            cluster: Some(cluster),
            image: &image,
            attached: Attached::Stead {
                network: cluster.network(),
                names: vec![own, from.name.to_string()],
                at: SocketAddr::new(site.desired.bind, from.port),
            },
            volume: DataVolume::Named(&cluster.volume(&from.name)),
        };
        let keeper = Keeper::start(&site.engine, &shared_place(site), &keeper_spec).await;
        let keeper = keeper.map_err(|error| in_one_line(&error))?;
        let wanted = Wanted { desired: &site.desired, packs: None, agent: None };
        let given = container::spec(&wanted, from).settings;
        let begun = site.engine.exec_detached(keeper.id(), command(&given)).await;
        Ok(Self { exec: begun.map_err(|error| in_one_line(&error))?, keeper })
    }

    /// A session to it, once it accepts some.
    ///
    /// # Errors
    /// Why not, for people.
    pub(super) async fn session(&self, target: &Target) -> Result<Session, String> {
        let began = Instant::now();
        loop {
            let error = match Session::connect(target).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let ended = self.keeper.engine().exec_code(&self.exec).await.map_err(|error| in_one_line(&error))?;
            if let Some(code) = ended {
                return Err(format!("a server on its volume ended with exit code {code}: {}", self.last_words().await));
            }
            if error.is_final() || began.elapsed() > WAKE_PATIENCE {
                return Err(format!("a server on its volume cannot be asked: {}", in_one_line(&error)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn last_words(&self) -> String {
        let tail = ["tail", "-n", "3", LOG].map(str::to_owned).to_vec();
        let said = self.keeper.exec(tail, Vec::new()).await;
        said.map_or_else(|error| in_one_line(&error), |ended| ended.stdout.text().trim().replace('\n', "; "))
    }

    /// Ends it; the next start recovers from that as from any other end.
    pub(super) async fn end(self) {
        let stop = format!("exec pg_ctl --pgdata={} --mode=immediate --wait --timeout=10 --silent stop", spec::PGDATA);
        let _ = self.keeper.exec(["sh", "-c", &stop].map(str::to_owned).to_vec(), Vec::new()).await;
        if let Err(error) = self.keeper.remove().await {
            tracing::warn!(%error, "a container in the old primary's stead could not be removed yet");
        }
    }
}

/// Sets up what it needs, with the settings that hypertide gives a node (`name=value`), and becomes the server.
fn command(given: &[String]) -> Vec<String> {
    let as_much = AS_MUCH
        .iter()
        .map(|(setting, told)| {
            format!("had=$(pg_controldata . | sed -n 's/^{told} setting: *//p')\nset -- \"$@\" -c {setting}=\"$had\"\n")
        })
        .collect::<Vec<_>>();
    let as_much = as_much.concat();
    let script = format!(
        "umask 077\n\
         export LC_ALL=C\n\
         cd {pgdata}\n\
         rm -f postmaster.pid\n\
         : >/tmp/postgresql.conf\n\
         printf 'host all all all scram-sha-256\\nhost replication all all scram-sha-256\\n' >/tmp/pg_hba.conf\n\
         {as_much}\
         if ! postgres -D {pgdata} \"$@\" -C port >/dev/null 2>&1; then\n\
             mv -f postgresql.auto.conf postgresql.auto.conf.broken\n\
             : >postgresql.auto.conf\n\
         fi\n\
         exec postgres -D {pgdata} \"$@\" </dev/null >{LOG} 2>&1\n",
        pgdata = spec::PGDATA,
    );
    let settings = given.iter().map(String::as_str).chain(OWN_SETTINGS);
    ["sh", "-euc", &script, "hypertide"]
        .map(str::to_owned)
        .into_iter()
        .chain(settings.flat_map(|setting| ["-c".to_owned(), setting.to_owned()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hypertide_gives_a_node_is_there_and_what_decoding_needs_comes_after_it() {
        let command = command(&["work_mem=8MB".to_owned(), "port=1".to_owned()]);
        let settings: Vec<&str> = command[4..].chunks(2).map(|pair| pair[1].as_str()).collect();
        let position = |wanted: &str| settings.iter().position(|setting| *setting == wanted).expect("it is given");
        assert!(position("port=1") < position("port=5432"), "the last one counts");
        assert!(position("work_mem=8MB") < position("primary_conninfo="));
        assert!(command[4..].chunks(2).all(|pair| pair[0] == "-c"));
    }
}
