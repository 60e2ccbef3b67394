//! Decisions, vetoes and ways as JSON: stable words beside sentences.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::Way;
use crate::model::names::NodeName;
use crate::plan::failover::Decision;
use crate::plan::failover::loss::{Loss, Salvage};
use crate::plan::failover::veto::Veto;

fn word_and_text<S: Serializer>(serializer: S, word: (&str, &str), text: &str) -> Result<S::Ok, S::Error> {
    let mut json = serializer.serialize_map(Some(2))?;
    json.serialize_entry(word.0, word.1)?;
    json.serialize_entry("text", text)?;
    json.end()
}

impl Serialize for Veto {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        word_and_text(serializer, ("reason", self.label()), &self.to_string())
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        word_and_text(serializer, ("way", self.label()), &self.to_string())
    }
}

impl Serialize for Salvage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(Some(3))?;
        json.serialize_entry("from", &self.from)?;
        json.serialize_entry("start", &self.start)?;
        json.serialize_entry("end", &self.end)?;
        json.end()
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("basis", self.label())?;
        json.serialize_entry("bytes", &self.bytes())?;
        if let Self::Exactly { transactions, .. } = self {
            json.serialize_entry("transactions", transactions)?;
        }
        json.serialize_entry("text", &self.to_string())?;
        json.end()
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("decision", self.label())?;
        json.serialize_entry("reason", self.reason())?;
        json.serialize_entry("text", &self.to_string())?;
        if let Some(node) = self.node() {
            json.serialize_entry("node", node)?;
        }
        match self {
            Self::Promote { loss, salvage, .. } => {
                json.serialize_entry("loss", loss)?;
                json.serialize_entry("salvage", salvage)?;
            }
            Self::AskOperator { why, ways } => {
                json.serialize_entry("vetoes", why.vetoes())?;
                json.serialize_entry("ways", ways)?;
            }
            Self::Stay { .. } | Self::Wait { .. } | Self::RestartInPlace { .. } | Self::PromoteIfComplete { .. } => {}
        }
        json.end()
    }
}

impl Decision {
    /// The stable word for what is done.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Stay { .. } => "stay",
            Self::Wait { .. } => "wait",
            Self::RestartInPlace { .. } => "restart_in_place",
            Self::Promote { .. } => "promote",
            Self::PromoteIfComplete { .. } => "promote_if_complete",
            Self::AskOperator { .. } => "ask_operator",
        }
    }

    /// The stable word for why.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Stay { why } => why.label(),
            Self::Wait { why, .. } => why.label(),
            Self::RestartInPlace { why, .. } => why.label(),
            Self::Promote { why, .. } | Self::PromoteIfComplete { why, .. } => why.label(),
            Self::AskOperator { why, .. } => why.label(),
        }
    }

    /// The node that is restarted or promoted.
    pub const fn node(&self) -> Option<&NodeName> {
        match self {
            Self::RestartInPlace { node, .. } | Self::Promote { node, .. } | Self::PromoteIfComplete { node, .. } => {
                Some(node)
            }
            Self::Stay { .. } | Self::Wait { .. } | Self::AskOperator { .. } => None,
        }
    }
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stay { why } => write!(f, "stay: {why}"),
            Self::Wait { why, .. } => write!(f, "wait: {why}"),
            Self::RestartInPlace { node, why } => write!(f, "restart {node} in place: {why}"),
            Self::Promote { node, why, loss, .. } => write!(f, "promote {node}: {why}; {loss}"),
            Self::PromoteIfComplete { node, why } => write!(f, "promote {node}, if it turns out to be complete: {why}"),
            Self::AskOperator { why, .. } => write!(f, "an operator has to decide: {why}"),
        }
    }
}
