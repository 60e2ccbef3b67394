//! From a published look and what the collectors brought to a scrape. Pure; what is too old to count gives no sample.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::collected::Collected;
use super::families::Families;
use super::names;
use super::{JobFindings, PassMetrics};
use crate::model::backup_runs::FindingsSeen;
use crate::model::cluster::{Health, Role};
use crate::model::finding::Finding;
use crate::model::health::SynchronousState;
use crate::model::observed::WalStatus;
use crate::status::gauges::EndpointGauge;
use crate::status::latest::Latest;
use crate::status::{NodeStatus, ReplicationStatus, Status};

/// Everything there is to tell at this moment, in Prometheus' own format.
pub fn scrape(passes: &PassMetrics, latest: &Latest, collected: &Collected, now: Instant) -> String {
    let families = families(passes, latest, collected, now);
    TextEncoder::new().encode_to_string(&families).expect("every family has a name and a sample")
}

/// What a single look tells, without an agent.
pub fn of_look(status: &Status) -> String {
    let mut samples = Families::default();
    samples.add(names::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0);
    cluster(&mut samples, status);
    TextEncoder::new().encode_to_string(&samples.into_proto()).expect("every family has a name and a sample")
}

/// Everything there is to tell at this moment, as values.
pub fn families(passes: &PassMetrics, latest: &Latest, collected: &Collected, now: Instant) -> Vec<MetricFamily> {
    let look = latest.fresh(now);
    let mut samples = Families::default();
    samples.add(names::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0);
    samples.add(names::UP, [], flag(look.is_some()));
    if let Some(look) = &latest.look {
        samples.add(names::AGENT_OBSERVATION_AGE_SECONDS, [], look.age(now).as_secs_f64());
    }
    if let Some(look) = look {
        cluster(&mut samples, &look.status);
    }
    collected.tell(now, &mut samples);
    findings(&mut samples, &passes.findings());
    let mut families = samples.into_proto();
    families.extend(passes.registry.gather());
    families
}

fn cluster(samples: &mut Families, status: &Status) {
    for health in [Health::Healthy, Health::Degraded, Health::Down] {
        samples.add(names::CLUSTER_HEALTH, [health.word()], flag(status.health == health));
    }
    if let (Some(primary), Some(epoch)) = (&status.primary, status.epoch) {
        samples.add(names::NODE_EPOCH, [primary.as_str()], number(epoch));
    }
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    for hold in &status.holds {
        *held.entry(hold.reason.label()).or_default() += 1;
    }
    for (reason, holds) in held {
        samples.add(names::HOLDS, [reason], count(holds));
    }
    for node in &status.nodes {
        self::node(samples, node);
    }
    samples.add(names::WRITABLE_NODES, [], count(status.gauges.writers));
    promotions(samples, status);
    for endpoint in &status.gauges.endpoints {
        self::endpoint(samples, endpoint);
    }
    for job in &status.backups.jobs {
        let mut known = |metric, value: Option<u64>| {
            if let Some(value) = value {
                samples.add(metric, [job.name.as_str()], number(value));
            }
        };
        known(names::BACKUP_LAST_SUCCESS_TIMESTAMP_SECONDS, job.figures.success_secs);
        known(names::BACKUP_LAST_VERIFIED_TIMESTAMP_SECONDS, job.figures.verified_secs);
        known(names::BACKUP_LAST_DURATION_SECONDS, job.figures.duration_secs);
        known(names::BACKUP_LAST_SIZE_BYTES, job.figures.size_bytes);
        known(names::BACKUP_RPO_BYTES, job.rpo_bytes);
        if let Some(drill) = job.figures.drill {
            known(names::BACKUP_LAST_DRILL_TIMESTAMP_SECONDS, u64::try_from(drill.finished.timestamp()).ok());
            known(names::BACKUP_LAST_DRILL_SUCCESS, Some(drill.is_equal.into()));
            known(names::BACKUP_LAST_DRILL_ROWS, drill.rows);
            known(names::BACKUP_LAST_DRILL_DIFFERENCES, drill.differences);
            if let Some(millis) = drill.millis {
                let seconds = Duration::from_millis(millis).as_secs_f64();
                samples.add(names::BACKUP_LAST_DRILL_DURATION_SECONDS, [job.name.as_str()], seconds);
            }
        }
        if let Some(seconds) = job.rpo_seconds {
            samples.add(names::BACKUP_RPO_SECONDS, [job.name.as_str()], seconds);
        }
    }
}

fn node(samples: &mut Families, node: &NodeStatus) {
    let name = node.name.as_str();
    for role in [Role::Primary, Role::Standby, Role::Subscriber, Role::Fenced, Role::Unknown] {
        samples.add(names::NODE_ROLE, [name, role.word()], flag(node.role == role));
    }
    if let Some(promotion) = &node.promotion {
        samples.add(names::PROMOTION_READY, [name], flag(promotion.ready));
    }
    if let Some(replication) = &node.replication {
        self::replication(samples, name, replication);
    }
}

fn findings(samples: &mut Families, jobs: &JobFindings) {
    for (job, FindingsSeen { findings, .. }) in jobs {
        samples.add(names::JOB_FINDINGS_LEFT_OUT, [job], number(findings.left_out));
        for Finding { finding, object, value } in &findings.list {
            if let Some(value) = value {
                samples.add(names::JOB_FINDING, [job, finding, object], *value);
            }
        }
    }
}

fn promotions(samples: &mut Families, status: &Status) {
    samples.add(names::FAILOVER_AUTOMATIC, [], flag(status.failover.automatic));
    // While nobody can be asked it may be paused.
    if status.gauges.promotions.is_some() {
        samples.add(names::FAILOVER_PAUSED, [], flag(status.failover.paused.is_some()));
    }
    for ((kind, by), changes) in status.gauges.promotions.iter().flatten() {
        samples.add(names::PROMOTIONS_TOTAL, [kind, by], number(*changes));
    }
    let mut told = BTreeSet::new();
    // The newest come first.
    for past in status.promotions.iter().filter(|past| told.insert(past.kind.as_str())) {
        let kind = past.kind.as_str();
        if let Ok(at) = u64::try_from(past.at.timestamp()) {
            samples.add(names::LAST_PROMOTION_TIMESTAMP_SECONDS, [kind], number(at));
        }
        samples.add(names::LAST_PROMOTION_WRITE_PAUSE_SECONDS, [kind], past.write_pause.as_secs_f64());
        for (phase, took) in &past.phases {
            samples.add(names::LAST_PROMOTION_PHASE_SECONDS, [kind, phase], took.0.as_secs_f64());
        }
    }
}

fn endpoint(samples: &mut Families, endpoint: &EndpointGauge) {
    let name = endpoint.access.name();
    samples.add(names::ENDPOINT_UP, [name], flag(endpoint.pooler.is_some()));
    let Some(pooler) = &endpoint.pooler else { return };
    samples.add(names::ENDPOINT_PAUSED, [name], flag(pooler.is_paused));
    for (node, leads_there) in &pooler.leads_to {
        samples.add(names::ENDPOINT_LEADS_TO, [name, node.as_str()], flag(*leads_there));
    }
}

fn replication(samples: &mut Families, node: &str, replication: &ReplicationStatus) {
    let mut known = |metric, value: Option<f64>| {
        if let Some(value) = value {
            samples.add(metric, [node], value);
        }
    };
    known(names::REPLICATION_LAG_BYTES, replication.lag_bytes.map(number));
    known(names::REPLICATION_LAG_SECONDS, replication.lag_seconds);
    if let Some(state) = replication.synchronous {
        for word in SynchronousState::ALL {
            samples.add(names::SYNC_STATE, [node, word.word()], flag(state == word));
        }
    }
    let mut known = |metric, value: Option<f64>| {
        if let Some(value) = value {
            samples.add(metric, [node], value);
        }
    };
    known(names::APPLY_ERRORS_TOTAL, replication.apply_errors.map(number));
    known(names::SYNC_ERRORS_TOTAL, replication.sync_errors.map(number));
    if let Some(chunks) = replication.chunks {
        known(names::CHUNKS_PUBLISHED, Some(count(chunks.published)));
        known(names::CHUNKS_UNPUBLISHED, Some(count(chunks.unpublished)));
        known(names::CHUNKS_UNSUBSCRIBED, Some(count(chunks.unsubscribed)));
        known(names::CHUNKS_NOT_READY, Some(count(chunks.not_ready)));
    }
    if let Some(verification) = &replication.verification {
        known(names::LAST_COMPARE_TIMESTAMP_SECONDS, verification.last_compare_secs.map(number));
        let is_compared = verification.last_compare.is_some() || verification.mismatches > 0;
        known(names::COMPARE_MISMATCHES, is_compared.then(|| number(verification.mismatches)));
    }
    if let Some(slot) = replication.slot {
        known(names::SLOT_RETAINED_BYTES, Some(number(slot.retained_bytes)));
        known(names::SLOT_ACTIVE, Some(flag(slot.active)));
        for status in WalStatus::ALL.into_iter().filter(|_| slot.wal_status.is_some()) {
            samples.add(names::SLOT_WAL_STATUS, [node, status.word()], flag(slot.wal_status == Some(status)));
        }
    }
}

const fn flag(is_it: bool) -> f64 {
    if is_it { 1.0 } else { 0.0 }
}

/// Prometheus' numbers are floats: whole ones are exact up to 2^53, which is 9 PB of log.
#[allow(clippy::cast_precision_loss)]
const fn number(value: u64) -> f64 {
    value as f64
}

/// The same for things counted here.
#[allow(clippy::cast_precision_loss)]
const fn count(things: usize) -> f64 {
    things as f64
}
