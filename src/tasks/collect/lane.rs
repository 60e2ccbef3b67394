//! One lane of one server: a connection of its own, and the collectors that are asked over it, one after the other.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::source::{Source, SourceError};
use crate::error::in_one_line;
use crate::metrics::Collected;
use crate::metrics::collected::Gathered;
use crate::metrics::collectors::{self, Collector, Lane};
use crate::metrics::families::Sample;
use crate::metrics::ground::Ground;
use crate::metrics::rows::{self, AnswerError};
use crate::metrics::steady::Steady;
use crate::model::collecting::Statements;
use crate::postgres::metrics;
use crate::postgres::session::{PostgresError, Session};
use crate::site::Site;

/// A collector has no answer.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("{node} did not answer the collector {collector} within {} s", patience.as_secs())]
    Silent { node: String, collector: &'static str, patience: Duration },
    #[error("cannot read the answer of {node} to the collector {collector}")]
    Answer { node: String, collector: &'static str, source: AnswerError },
}

/// A collector and when it is asked next.
struct Due {
    collector: &'static Collector,
    at: Instant,
    sums: Steady,
    last_word: String,
}

/// Asks for ever.
pub(super) async fn run(site: &Site, source: &Source, lane: Lane, publish: &watch::Sender<Collected>) -> Infallible {
    let node = source.name();
    let at = Instant::now();
    let ours = collectors::ALL.iter().filter(|collector| collector.lane == lane);
    let mut dues: Vec<Due> =
        ours.map(|collector| Due { collector, at, sums: Steady::default(), last_word: String::new() }).collect();
    let mut session = None;
    loop {
        // The first of those that are due at the same time; the others come right after it.
        let due = dues.iter_mut().min_by_key(|due| due.at).expect("no lane is empty");
        sleep_until(due.at.into()).await;
        let (began, collector) = (Instant::now(), due.collector);
        let asked = ask(site, source, collector, &mut session).await;
        due.at = began + collector.pause(Duration::ZERO);
        let word = match asked {
            Ok(None) => {
                publish.send_modify(|collected| collected.spared(node, collector.name));
                String::new()
            }
            Ok(Some((mut samples, took))) => {
                due.at = began + collector.pause(took);
                if collector.is_summed() {
                    due.sums.keep(&mut samples);
                }
                let (at, holds_for, samples) = (SystemTime::now(), collector.holds_for(took), Arc::new(samples));
                let answer = Gathered { began, at, took, holds_for, samples };
                publish.send_modify(|collected| collected.gathered(node, collector.name, answer));
                String::new()
            }
            Err(error) => {
                publish.send_modify(|collected| collected.missed(node, collector.name));
                // Somebody who does not answer is not asked again for each of the others.
                if session.is_none() {
                    for other in dues.iter_mut().filter(|other| other.at <= Instant::now()) {
                        publish.send_modify(|collected| collected.missed(node, other.collector.name));
                        other.at = began + other.collector.pause(Duration::ZERO);
                    }
                }
                in_one_line(&error)
            }
        };
        let due = dues.iter_mut().find(|due| due.collector.name == collector.name).expect("it was asked");
        if word != due.last_word {
            tell(source, collector, &word, session.is_some());
            due.last_word = word;
        }
    }
}

/// That a node is away the passes say already.
fn tell(source: &Source, collector: &Collector, word: &str, is_there: bool) {
    let node = source.name();
    if word.is_empty() {
        tracing::debug!(%node, collector = collector.name, "the collector has answers again");
    } else if is_there || source.node().is_none() {
        tracing::warn!(%node, collector = collector.name, "{word}");
    } else {
        tracing::debug!(%node, collector = collector.name, "{word}");
    }
}

/// Asks once, and tells how long the server took over the answer; `None` where there is nothing to ask for. A session that is of no use any more is let go.
async fn ask(
    site: &Site,
    source: &Source,
    collector: &'static Collector,
    session: &mut Option<Session>,
) -> Result<Option<(Vec<Sample>, Duration)>, CollectError> {
    let (node, patience) = (source.name(), collector.lane.patience());
    let asking = async {
        let open = match session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => source.connect(site, patience).await?,
        };
        let answered = answer(&open, collector, site.desired.collecting.statements).await;
        // One that said no is still there.
        if answered.is_ok() || !open.is_closed() {
            *session = Some(open);
        }
        Ok::<_, CollectError>(answered?)
    };
    let json = tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| {
        Err(CollectError::Silent { node: node.to_string(), collector: collector.name, patience })
    })?;
    let unreadable = |source| CollectError::Answer { node: node.to_string(), collector: collector.name, source };
    let Some((json, took)) = json else { return Ok(None) };
    Ok(Some((rows::read(collector, node.as_str(), &json).map_err(unreadable)?, took)))
}

async fn answer(
    session: &Session,
    collector: &Collector,
    wanted: Statements,
) -> Result<Option<(String, Duration)>, PostgresError> {
    let ground = if collector.needs_ground() { metrics::ground(session).await? } else { Ground::default() };
    let Some(sql) = collector.asked_on(ground, wanted) else { return Ok(None) };
    let top = collector.needs.takes_top().then(|| i64::from(wanted.top));
    let began = Instant::now();
    let json = metrics::ask(session, collector.name, sql, top).await?;
    Ok(Some((json, began.elapsed())))
}
