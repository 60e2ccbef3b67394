//! What the agent does about a primary that serves nobody. What is to be done is decided by `plan::failover`; here it is begun.
//!
//! In: one look after the other. Out: a restart or a promotion that was carried out, or a hold by which somebody is asked.

use std::time::{Duration, Instant};

use crate::docker::engine::DockerError;
use crate::error::in_one_line;
use crate::model::names::NodeName;
use crate::model::observed::{Observed, RunState};
use crate::model::promotion::{By, Occasion};
use crate::plan::failover::Decision;
use crate::plan::failover::reason::{PromoteWhy, Question, Waiting};
use crate::plan::failover::veto::Veto;
use crate::plan::failover::watch::Watch;
use crate::plan::hold::{Hold, Reason};
use crate::plan::readiness::Ineligible;
use crate::site::Site;
use crate::tasks::promotion::{self, Promoted, PromotionError};
use crate::tasks::switchover::SwitchoverError;

/// A promotion that must not be is tried again after so long: a volume may have come back meanwhile.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// What keeps a logical replica from being known to be complete.
fn why_not(vetoes: &[Veto]) -> String {
    let reasons = vetoes.iter().map(|veto| match veto {
        Veto::Ineligible(_, reasons) => {
            let said = reasons.iter().map(|reason| match reason {
                Ineligible::Unproven(because) => because.clone(),
                reason => reason.to_string(),
            });
            said.collect::<Vec<_>>().join(", ")
        }
        veto => veto.to_string(),
    });
    reasons.collect::<Vec<_>>().join("; ")
}

/// What one agent knows and has tried.
#[derive(Debug)]
pub struct Failover {
    began: Instant,
    watch: Watch,
    decision: Option<Decision>,
    refused: Option<(Duration, Vec<Veto>)>,
}

impl Failover {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self { began: Instant::now(), watch: Watch::default(), decision: None, refused: None }
    }

    /// Adds a look, and gives what somebody has to be asked.
    pub fn look(&mut self, site: &Site, observed: &Observed) -> Option<Hold> {
        let decision = self.watch.take(&site.desired, observed, self.began.elapsed());
        if matches!(decision, Decision::Stay { .. }) {
            self.refused = None;
        }
        let hold = self.hold(&decision);
        self.decision = Some(decision);
        hold
    }

    /// The planner has its own words for a cluster in which nobody, or more than one, is the primary.
    fn hold(&self, decision: &Decision) -> Option<Hold> {
        let (question, ways) = match (decision, &self.refused) {
            (Decision::AskOperator { why: Question::NoPrimary | Question::TwoPrimaries(..), .. }, _) => return None,
            (Decision::AskOperator { why, ways }, _) => (why.clone(), ways.clone()),
            (_, Some((_, vetoes))) => (Question::Refused(vetoes.clone()), Vec::new()),
            _ => return None,
        };
        Some(Hold::new("failover", Reason::AsksOperator(Box::new(question), ways)))
    }

    /// The replica that is to be promoted, as of the last look, and why.
    pub fn promotes(&self) -> Option<(NodeName, Occasion)> {
        if let Some((at, _)) = &self.refused
            && self.began.elapsed() < *at + TRY_AGAIN
        {
            return None;
        }
        let (node, why) = match self.decision.as_ref()? {
            Decision::Promote { node, why, .. } | Decision::PromoteIfComplete { node, why } => {
                (node.clone(), why.to_string())
            }
            // Which of its log the candidate lacks is read when the promotion has begun, and decides whether it goes on.
            Decision::Wait { why: Waiting::ReadingTail, .. } => {
                let why = match self.watch.restarts() {
                    0 => "`failover.prefer` is `promote`".to_owned(),
                    count => PromoteWhy::RestartsFail(count).to_string(),
                };
                (self.watch.candidate()?, why)
            }
            _ => return None,
        };
        Some((node, Occasion { by: By::Agent, why }))
    }

    const fn is_proof(&self) -> bool {
        matches!(self.decision, Some(Decision::PromoteIfComplete { .. }))
    }

    /// Something is to be done about the primary's container.
    pub const fn restarts(&self) -> bool {
        matches!(self.decision, Some(Decision::RestartInPlace { .. }))
    }

    /// Promotes it, unless that loses more than was agreed to.
    pub async fn promote(
        &mut self,
        site: &Site,
        observed: &Observed,
        (to, occasion): &(NodeName, Occasion),
    ) -> Result<Option<Promoted>, PromotionError> {
        let promoted = match promotion::may_be(site, observed, to) {
            Ok(choice) => {
                let known = self.watch.synchronous();
                Box::pin(promotion::run(site, observed, &choice, None, occasion, &known)).await
            }
            Err(refusal) => Err(PromotionError::Refused(refusal)),
        };
        match promoted {
            Err(error) if self.is_proof() => match error {
                // Somebody else is at it, or the engine is silent: nothing was found out.
                PromotionError::Switchover(SwitchoverError::Busy { .. }) | PromotionError::Observe(_) => Err(error),
                PromotionError::Refused(refusal) => {
                    tracing::warn!("{}", in_one_line(&PromotionError::Refused(refusal.clone())));
                    self.watch.could_not_prove(to.clone(), why_not(&refusal.vetoes));
                    Ok(None)
                }
                error => {
                    self.watch.could_not_prove(to.clone(), in_one_line(&error));
                    Err(error)
                }
            },
            Err(PromotionError::Refused(refusal)) => {
                tracing::warn!("{}", in_one_line(&PromotionError::Refused(refusal.clone())));
                self.refused = Some((self.began.elapsed(), refusal.vetoes));
                Ok(None)
            }
            promoted => promoted.map(Some),
        }
    }

    /// Has the primary's container be such that the plan's next step is its start: ended, and attached to its network. Whoever calls
    /// this holds the reconcile lock.
    pub async fn make_restartable(&mut self, site: &Site, observed: &Observed) -> Result<(), DockerError> {
        let Some(Decision::RestartInPlace { node, why }) = &self.decision else { return Ok(()) };
        let Some(container) = observed.nodes.get(node).and_then(|seen| seen.container.present()) else {
            self.watch.restarted(self.began.elapsed());
            return Ok(());
        };
        let name = site.desired.cluster.container(node);
        if matches!(container.state, RunState::Running | RunState::Paused) {
            tracing::warn!(node = node.as_str(), "is ended, to be started again: {why}");
            site.engine.kill_container(&name).await?;
        } else {
            self.watch.restarted(self.began.elapsed());
        }
        if !container.is_attached {
            site.engine.connect_to_network(&name, &site.desired.cluster.network()).await?;
        }
        Ok(())
    }
}
