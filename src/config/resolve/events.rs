//! The key `events`: how the agent tells what happens, beside its counters.

use super::backups::address;
use crate::config::problem::Problems;
use crate::config::read::Fields;
use crate::model::desired::{Events, LogFormat};

/// Reads the key.
pub fn resolve(file: &Fields<'_>, problems: &mut Problems) -> Events {
    let keys = file.within("events", &["log_format", "webhook"], problems);
    let log_format = keys.get("log_format").and_then(|entry| entry.choice(&LogFormat::WORDS, problems));
    let webhook = keys.get("webhook").and_then(|entry| entry.checked("an address", address, problems));
    Events { log_format: log_format.unwrap_or_default(), webhook }
}
