//! The loops that look, plan and execute again and again, until done or for ever.

pub mod agent;
pub mod converge;
pub mod heartbeat;
pub mod nudge;
pub mod primary;
pub mod sequences;
pub mod verify;
