//! Facts of a healthy host and cluster, for tests to break one thing at a time.

use std::collections::BTreeMap;
use std::path::Path;

use super::facts::*;
use crate::model::desired::Desired;
use crate::model::names::NodeName;
use crate::model::observed::{Observed, RunState};
use crate::model::seen::Seen;

/// The configuration of a text.
pub fn desired(config: &str) -> Desired {
    crate::config::parse(config, Path::new("")).expect(config)
}

/// A host with an engine and nothing else.
pub fn examined() -> Examined {
    Examined {
        config: ConfigSeen::default(),
        engine: EngineSeen {
            address: "unix:///var/run/docker.sock".into(),
            is_from_environment: false,
            other_sockets: Vec::new(),
            answer: Answer::Engine(EngineFacts {
                version: "29.0".into(),
                api: "1.52".into(),
                root_dir: None,
                memory_bytes: Some(16 << 30),
            }),
        },
        disks: Vec::new(),
        passwords: PasswordsSeen {
            dir_path: ".hypertide".into(),
            dir: Seen::Absent,
            file_path: ".hypertide/pgpass".into(),
            file: Seen::Absent,
            unusable: None,
        },
        ports: Vec::new(),
        default_port: Vec::new(),
        place: DataPlace { volume: "/var/lib/postgresql/data", pgdata: "/var/lib/postgresql/data/pgdata" },
        image: Seen::Absent,
        nodes: Vec::new(),
        agent: Seen::Absent,
        observed: Seen::Present(Observed::default()),
    }
}

/// A node that is as it should be.
pub fn node(name: &str, desired: &Desired) -> NodeExam {
    let name = NodeName::new(name).expect("valid");
    let volume = MountSeen { volume: Some(desired.cluster.volume(&name)), path: "/var/lib/postgresql/data".into() };
    NodeExam {
        name,
        container: Seen::Present(ContainerExam {
            state: RunState::Running,
            ended: None,
            restarts: 0,
            mounts: vec![volume],
            pgdata: Some("/var/lib/postgresql/data/pgdata".into()),
        }),
        server: Seen::Present(ServerExam { facts: server(), clock_ahead_secs: 0.0 }),
        help: None,
    }
}

/// A server that is as it should be.
pub fn server() -> ServerFacts {
    ServerFacts {
        clock: 0.0,
        preload: "timescaledb,pg_stat_statements".into(),
        timescaledb_installed: Some("2.29.2".into()),
        timescaledb_available: Some("2.29.2".into()),
        checksums: true,
        fsync: true,
        full_page_writes: true,
        encoding: Some("UTF8".into()),
        settings: BTreeMap::new(),
    }
}
