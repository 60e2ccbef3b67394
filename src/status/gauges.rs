//! What of a cluster only the metrics tell. Made from an observation, as everything else of a status; pure.

use std::collections::BTreeMap;

use crate::model::desired::{Desired, DesiredNode};
use crate::model::endpoint::Access;
use crate::model::names::NodeName;
use crate::model::observed::{DatabaseSeen, Observed};
use crate::plan::endpoint;
use crate::plan::topology;

/// Kinds of changes of the primary, and who makes them: those that never were count 0.
const CAUSES: [(&str, &str); 3] = [("switchover", "operator"), ("failover", "operator"), ("failover", "agent")];

/// Numbers and flags beside what a status tells people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Nodes that are seen to take the writes of a primary.
    pub writers: usize,
    /// Each endpoint that is wanted.
    pub endpoints: Vec<EndpointGauge>,
    /// How often the primary was changed, by kind and by who did it; `None` while nobody can be asked.
    pub promotions: Option<BTreeMap<(String, String), u64>>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointGauge {
    /// Which one.
    pub access: Access,
    /// Its PgBouncer, when it answers.
    pub pooler: Option<PoolerGauge>,
}

/// What a PgBouncer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolerGauge {
    /// It holds its clients.
    pub is_paused: bool,
    /// Every node, and whether it leads there.
    pub leads_to: Vec<(NodeName, bool)>,
}

impl Gauges {
    /// Reads them from an observation. `database` is the primary's.
    pub fn of(desired: &Desired, nodes: &[DesiredNode], observed: &Observed, database: Option<&DatabaseSeen>) -> Self {
        let takes_writes = |node: &&DesiredNode| {
            observed.nodes.get(&node.name).is_some_and(|seen| topology::writer_epoch(seen).is_some())
        };
        let pooler = |access: Access| {
            let pooler = observed.endpoints.get(&access)?.pooler.present()?;
            let leads_to = |node: &DesiredNode| {
                let hosts = endpoint::hosts(&desired.cluster, &[node.name.clone()].into());
                (node.name.clone(), hosts.is_subset(&pooler.hosts))
            };
            Some(PoolerGauge { is_paused: pooler.is_paused, leads_to: nodes.iter().map(leads_to).collect() })
        };
        let ports = desired.endpoint.ports().into_iter();
        Self {
            writers: nodes.iter().filter(takes_writes).count(),
            endpoints: ports.map(|(access, _)| EndpointGauge { access, pooler: pooler(access) }).collect(),
            promotions: database.map(|database| {
                let never = CAUSES.map(|(kind, by)| ((kind.to_owned(), by.to_owned()), 0));
                let counted = database.promotion_counts.iter();
                let counted = counted.map(|count| ((count.kind.clone(), count.by.clone()), count.changes));
                never.into_iter().chain(counted).collect()
            }),
        }
    }
}
