//! Who looks after a primary that fails: hypertide by itself or not, and whether that is paused. Pure.

use serde::Serialize;

use crate::model::promotion::FailoverPause;

/// Failover as it is configured, and as it is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FailoverStatus {
    /// The configuration has hypertide act by itself.
    pub automatic: bool,
    /// It is paused; `None` also when nobody who would know answers.
    pub paused: Option<FailoverPause>,
}
