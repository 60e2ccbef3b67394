//! The loops that look, plan and execute again and again, until done or for ever.

pub mod agent;
pub mod announce;
pub mod backup;
pub mod collect;
pub mod converge;
pub mod events;
pub mod heartbeat;
mod history;
pub mod jobs;
pub mod nudge;
pub mod primary;
pub mod promotion;
pub mod sequences;
pub mod switchover;
mod timed;
pub mod verify;
pub mod wal;
