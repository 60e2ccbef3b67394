//! What happens to the containers of nodes and endpoints, as the engine tells it.
//!
//! In: a cluster. Out: a stream of events that begins now. An event says that something happened and not how things are: who acts
//! upon one looks first.

use std::collections::HashMap;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::future::ready;
use futures_util::{Stream, StreamExt};

use super::engine::{DockerError, Engine};
use super::labels;
use crate::model::names::ClusterName;

/// What changes whether a server can answer, in the engine's words. Checks of a container's health are events as well, and none of these.
const ACTIONS: [&str; 6] = ["die", "oom", "start", "pause", "unpause", "destroy"];

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEvent {
    /// Its name.
    pub container: String,
    /// What, in the engine's word.
    pub action: String,
    /// With what its process ended, when it did.
    pub exit_code: Option<i64>,
}

impl ContainerEvent {
    /// The memory that it may have was used up, and the kernel ended one of its processes.
    pub fn is_out_of_memory(&self) -> bool {
        self.action == "oom"
    }

    /// Its process ended well: somebody stopped it, and may be about to do more with it.
    pub fn is_clean_end(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// Events of a cluster's nodes and endpoints. Ends when the engine ends it.
pub fn of_servers(
    engine: &Engine,
    cluster: &ClusterName,
) -> impl Stream<Item = Result<ContainerEvent, DockerError>> + use<> {
    let filters = HashMap::from([
        ("type", vec!["container".to_owned()]),
        ("event", ACTIONS.map(str::to_owned).to_vec()),
        ("label", vec![format!("{}={cluster}", labels::CLUSTER)]),
    ]);
    let filters: HashMap<String, Vec<String>> =
        filters.into_iter().map(|(key, values)| (key.to_owned(), values)).collect();
    let docker = engine.client().clone();
    let events = docker.events(Some(EventsOptionsBuilder::default().filters(&filters).build()));
    events.filter_map(|event| {
        ready(match event {
            Ok(event) => is_of_server(&event).then(|| Ok(told(event))),
            Err(error) => Some(Err(DockerError::from_bollard("watch the containers", error))),
        })
    })
}

/// It is not about a helper or the agent. The engine can ask for one kind only, so that is asked here.
fn is_of_server(event: &EventMessage) -> bool {
    let attributes = event.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
    let kind = attributes.and_then(|attributes| attributes.get(labels::KIND));
    kind.is_some_and(|kind| [labels::KIND_NODE, labels::KIND_ENDPOINT].contains(&kind.as_str()))
}

fn told(event: EventMessage) -> ContainerEvent {
    let actor = event.actor.unwrap_or_default();
    let mut attributes = actor.attributes.unwrap_or_default();
    ContainerEvent {
        container: attributes.remove("name").or(actor.id).unwrap_or_default(),
        action: event.action.unwrap_or_default(),
        exit_code: attributes.remove("exitCode").and_then(|code| code.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    #[test]
    fn an_end_is_clean_only_with_exit_code_0() {
        let event = |action: &str, attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let actor = EventActor { id: Some("3f".into()), attributes: Some(attributes) };
            told(EventMessage { action: Some(action.into()), actor: Some(actor), ..EventMessage::default() })
        };
        let killed = event("die", &[("name", "trading-primary-1"), ("exitCode", "137")]);
        assert_eq!((killed.container.as_str(), killed.is_clean_end()), ("trading-primary-1", false));
        assert!(event("die", &[("exitCode", "0")]).is_clean_end());
        assert!(event("oom", &[]).is_out_of_memory() && !killed.is_out_of_memory());
        let paused = event("pause", &[]);
        assert_eq!((paused.container.as_str(), paused.is_clean_end()), ("3f", false));
    }
}
