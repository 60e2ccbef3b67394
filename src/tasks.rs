//! The loops that look, plan and execute again and again, until done or for ever.

pub mod agent;
pub mod backup;
pub mod collect;
pub mod converge;
pub mod events;
pub mod heartbeat;
mod history;
pub mod nudge;
pub mod primary;
pub mod promotion;
pub mod sequences;
pub mod switchover;
pub mod verify;
pub mod wal;
