//! Steps towards the outside. What a server refuses is remembered and told, and keeps nothing else from being done.

use std::time::{Duration, Instant};

use super::{Cause, Executor};
use crate::docker::files::File;
use crate::docker::image;
use crate::error::in_one_line;
use crate::model::names::{Ident, NodeName};
use crate::model::outside::{DeclaredSubscription, Kind};
use crate::plan::outside::step::OutsideStep;
use crate::plan::outside::{PASSFILE, connection};
use crate::plan::step::Step;
use crate::postgres::password::Password;
use crate::postgres::setup;
use crate::secrets;
use crate::site::ReachError;

/// How long a new subscription may take to begin, before it is told as failing; its worker is started within a second.
const START_PATIENCE: Duration = Duration::from_secs(5);
const START_POLL: Duration = Duration::from_millis(50);

impl Executor<'_> {
    pub(super) async fn take_outside(&self, node: &NodeName, step: &OutsideStep) -> Result<(), Cause> {
        match step {
            OutsideStep::SetPublication(change) => {
                Ok(setup::set_publication(&mut self.own_session(node).await?, change).await?)
            }
            OutsideStep::PublishChunks { name, chunks } => {
                Ok(setup::publish_outside_chunks(&*self.session(node).await?, name, chunks).await?)
            }
            OutsideStep::DropPublication { name } => {
                Ok(setup::drop_publication(&*self.session(node).await?, name).await?)
            }
            OutsideStep::GivePasswords { .. } => self.give_outside_passwords(node).await,
            OutsideStep::CreateSubscription(declared) => self.create_outside_subscription(node, declared).await,
            OutsideStep::ChangeSubscription(change) => {
                let connection = connection(&change.declared.from);
                Ok(setup::change_subscription(&*self.session(node).await?, change, &connection).await?)
            }
            OutsideStep::DropSubscription { name } => {
                Ok(setup::drop_subscription(&*self.session(node).await?, name).await?)
            }
        }
    }

    /// Whether the run goes on although this step failed: a server refused something that is only for the outside.
    pub(super) fn bears(&self, step: &Step, cause: &Cause) -> bool {
        let Step::Outside { step, .. } = step else { return false };
        let Some((kind, name)) = subject(step) else { return false };
        if !matches!(cause, Cause::Postgres(_) | Cause::Reach(ReachError::Postgres(_))) {
            return false;
        }
        let because = in_one_line(cause);
        tracing::warn!("could not {step}: {because}");
        self.site.remember_refusal(kind, name.clone(), because);
        true
    }

    async fn give_outside_passwords(&self, node: &NodeName) -> Result<(), Cause> {
        let engine = &self.site.engine;
        let container = self.site.desired.cluster.container(node);
        let bytes = engine.read_file(&container, PASSFILE).await?.unwrap_or_default();
        let readable =
            self.site.desired.outside.subscriptions.iter().filter_map(|declared| {
                Some((&declared.from, secrets::outside::read(&declared.from.password_file).ok()?))
            });
        let readable: Vec<(_, Password)> = readable.collect();
        let text = secrets::outside::merged(&String::from_utf8_lossy(&bytes), &readable);
        let owner = image::postgres_uid(engine.client(), &container).await?;
        let file = File { path: PASSFILE, bytes: text.as_bytes(), mode: 0o600, owner };
        Ok(engine.put_files(&container, &[file]).await?)
    }

    async fn create_outside_subscription(&self, node: &NodeName, declared: &DeclaredSubscription) -> Result<(), Cause> {
        let session = self.session(node).await?;
        setup::create_subscription(&session, declared, &connection(&declared.from)).await?;
        let began = Instant::now();
        while !setup::is_applying(&session, &declared.name).await? && began.elapsed() < START_PATIENCE {
            tokio::time::sleep(START_POLL).await;
        }
        Ok(())
    }
}

/// What a step works on, when a failure of it is to be told as a hold; one without is tried again by the next pass.
fn subject(step: &OutsideStep) -> Option<(Kind, &Ident)> {
    match step {
        OutsideStep::SetPublication(change) => Some((Kind::Publication, &change.name)),
        OutsideStep::DropPublication { name } => Some((Kind::Publication, name)),
        OutsideStep::CreateSubscription(declared) => Some((Kind::Subscription, &declared.name)),
        OutsideStep::ChangeSubscription(change) => Some((Kind::Subscription, &change.declared.name)),
        OutsideStep::DropSubscription { name } => Some((Kind::Subscription, name)),
        OutsideStep::PublishChunks { .. } | OutsideStep::GivePasswords { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::spec;

    #[test]
    fn passwords_lie_beside_the_clusters_own_on_the_volume() {
        let directory = spec::PASSFILE.strip_suffix("pgpass").expect("its name");
        assert!(PASSFILE.starts_with(directory) && PASSFILE != spec::PASSFILE);
    }
}
