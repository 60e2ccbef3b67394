//! A connection of a task's own to whichever node takes writes now.
//!
//! The passes' sessions may be busy with a statement that takes long; what has to happen on time does not wait behind it.

use std::time::Instant;

use tokio::sync::watch;

use crate::model::names::NodeName;
use crate::postgres::session::{Session, Target};
use crate::site::{ReachError, Site};
use crate::status::latest::Latest;

/// Follows the primary from look to look.
#[derive(Debug)]
pub struct ToPrimary<'a> {
    site: &'a Site,
    latest: watch::Receiver<Latest>,
    session: Option<Session>,
}

impl<'a> ToPrimary<'a> {
    /// Connects when first asked.
    pub fn new(site: &'a Site, latest: watch::Receiver<Latest>) -> Self {
        Self { site, latest, session: None }
    }

    /// A session to the primary; `None` while no node is seen to take writes.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn session(&mut self) -> Result<Option<&Session>, ReachError> {
        let Some((primary, port)) = self.primary() else {
            self.session = None;
            return Ok(None);
        };
        let is_usable = |session: &Session| session.node == primary && !session.is_closed();
        if !self.session.as_ref().is_some_and(is_usable) {
            let target = self.site.target(&primary, port, &self.site.desired.database)?;
            self.session = Some(Session::watch(&target).await?);
        }
        Ok(self.session.as_ref())
    }

    /// How to log into it, for a connection of somebody else's own; `None` while no node is seen to take writes.
    ///
    /// # Errors
    /// There are no passwords.
    pub fn target(&self) -> Result<Option<Target>, ReachError> {
        let Some((primary, port)) = self.primary() else { return Ok(None) };
        self.site.target(&primary, port, &self.site.desired.database).map(Some)
    }

    /// Lets go of a session that failed, so that the next one is new.
    pub fn forget(&mut self) {
        self.session = None;
    }

    fn primary(&self) -> Option<(NodeName, u16)> {
        let latest = self.latest.borrow();
        let status = &latest.fresh(Instant::now())?.status;
        let name = status.primary.as_ref()?;
        let node = status.nodes.iter().find(|node| node.name == *name)?;
        let port = node.address.rsplit_once(':')?.1.parse().ok()?;
        Some((name.clone(), port))
    }
}
