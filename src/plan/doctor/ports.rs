//! Are the ports of nodes, endpoints and agent theirs, and does somebody else answer where clients look by default?

use super::facts::{ListenerSeen, PortHolder, PortOwner, PortSeen};
use super::{Check, Finding};

/// Each host port of a node, of the endpoints, and the agent's.
pub fn ports(ports: &[PortSeen]) -> Vec<Finding> {
    ports
        .iter()
        .map(|PortSeen { owner, port, holder }| match holder {
            PortHolder::Nobody => Finding::ok(Check::Ports, format!("port {port} is free for {owner}")),
            PortHolder::Owner => Finding::ok(Check::Ports, format!("port {port} is {owner}'s")),
            PortHolder::Other(holder) => Finding::problem(
                Check::Ports,
                format!("port {port}, wanted for {owner}, is held by {holder}"),
                format!("stop what listens on {port}, or give {owner} another port in hypertide.yaml"),
            ),
            PortHolder::Unclear(holder) => Finding::warning(
                Check::Ports,
                format!("port {port} is in use by {holder}; without Docker it cannot be told whether that is {owner}"),
                "mend the engine first, then run `hypertide doctor` again",
            ),
        })
        .collect()
}

/// Others who answer at PostgreSQL's own port, which clients use when they are told none.
///
/// Two servers on one host, and writes that silently went to the wrong one, is how data gets lost without an error.
pub fn default_port(listeners: &[ListenerSeen], ports: &[PortSeen]) -> Vec<Finding> {
    let others = listeners.iter().filter(|listener| !listener.is_ours);
    let is_said = |listener: &ListenerSeen| {
        let is_wanted = |seen: &&PortSeen| seen.port == listener.address.port();
        let wanted = ports.iter().find(is_wanted);
        wanted.is_some_and(|seen| match &seen.holder {
            PortHolder::Other(holder) | PortHolder::Unclear(holder) => *holder == listener.holder,
            PortHolder::Nobody | PortHolder::Owner => false,
        })
    };
    // One server often answers at both of localhost's addresses; it is named once.
    let mut findings: Vec<Finding> = Vec::new();
    let mut named: Vec<&str> = Vec::new();
    for listener in others.filter(|listener| !is_said(listener)) {
        if !named.contains(&listener.holder.as_str()) {
            named.push(&listener.holder);
            findings.push(stranger(listener, ports));
        }
    }
    if findings.is_empty() && listeners.iter().all(|listener| listener.is_ours) {
        findings.push(Finding::ok(Check::DefaultPort, "no other server answers on port 5432 of localhost"));
    }
    findings
}

fn stranger(listener: &ListenerSeen, ports: &[PortSeen]) -> Finding {
    let ListenerSeen { address, is_postgres, holder, .. } = listener;
    let nodes = ports.iter().filter(|seen| seen.owner != PortOwner::Agent);
    let cluster: Vec<String> = nodes.map(|seen| format!("{} ({})", seen.port, seen.owner)).collect();
    let cluster = cluster.join(", ");
    let what = if *is_postgres { "another PostgreSQL server" } else { "something that is not PostgreSQL" };
    // Some clients try ::1 first and some 127.0.0.1, so the same address may lead to either server.
    let shared = ports.iter().find(|seen| seen.port == address.port() && seen.holder != PortHolder::Nobody);
    let who = match shared {
        Some(seen) => format!("clients that connect to `localhost` may reach it instead of {}", seen.owner),
        None => "clients that leave out the port reach that one and not the cluster".to_owned(),
    };
    Finding::warning(
        Check::DefaultPort,
        format!("{what} answers on {address} ({holder}): {who}, whose ports are {cluster}"),
        match shared {
            Some(_) => "write the node's address as a number in every connection string, or give it another port",
            None => "name the port in every connection string, or stop that server if nobody needs it",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::Severity::{Ok, Problem, Warning};
    use super::*;
    use crate::model::names::NodeName;

    fn port(node: &str, port: u16, holder: PortHolder) -> PortSeen {
        PortSeen { owner: PortOwner::Node(NodeName::new(node).expect("valid")), port, holder }
    }

    fn listener(address: &str, holder: &str, is_ours: bool) -> ListenerSeen {
        let address = address.parse().expect("an address");
        ListenerSeen { address, is_postgres: true, holder: holder.into(), is_ours }
    }

    #[test]
    fn a_port_is_free_ours_somebodys_or_unclear() {
        let other = PortHolder::Other("process python3 (pid 7)".into());
        let found = ports(&[
            port("a", 5434, PortHolder::Nobody),
            port("b", 5435, PortHolder::Owner),
            port("c", 5436, other),
            port("d", 5437, PortHolder::Unclear("process docker-proxy (pid 8)".into())),
        ]);
        let severities: Vec<_> = found.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Ok, Ok, Problem, Warning]);
        assert_eq!(found[2].text, "port 5436, wanted for c, is held by process python3 (pid 7)");
        assert!(found[2].help.as_ref().expect("help").contains("give c another port"));
        assert!(found[3].text.ends_with("it cannot be told whether that is d"), "{found:?}");
    }

    #[test]
    fn another_server_on_the_default_port_is_named_once_with_the_clusters_own_ports() {
        let agent = PortSeen { owner: PortOwner::Agent, port: 9187, holder: PortHolder::Owner };
        assert_eq!(ports(std::slice::from_ref(&agent))[0].text, "port 9187 is the agent's");
        let cluster = [port("p-1", 5434, PortHolder::Owner), port("r-1", 5435, PortHolder::Nobody), agent];
        let found = default_port(
            &[listener("127.0.0.1:5432", "container tetra", false), listener("[::1]:5432", "container tetra", false)],
            &cluster,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Warning);
        assert_eq!(
            found[0].text,
            "another PostgreSQL server answers on 127.0.0.1:5432 (container tetra): clients that leave out the port \
             reach that one and not the cluster, whose ports are 5434 (p-1), 5435 (r-1)"
        );
    }

    #[test]
    fn what_is_not_postgresql_is_named_as_such() {
        let web = ListenerSeen { is_postgres: false, ..listener("127.0.0.1:5432", "process nginx (pid 1)", false) };
        let found = default_port(&[web], &[port("p-1", 5434, PortHolder::Nobody)]);
        assert!(found[0].text.starts_with("something that is not PostgreSQL answers"), "{}", found[0].text);
    }

    #[test]
    fn a_second_server_on_the_other_localhost_is_found_though_the_cluster_has_the_port() {
        let cluster = [port("p-1", 5432, PortHolder::Owner)];
        let ours = listener("127.0.0.1:5432", "container c-p-1", true);
        let found = default_port(&[ours.clone(), listener("[::1]:5432", "process postgres (pid 9)", false)], &cluster);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("[::1]:5432 (process postgres (pid 9))"), "{}", found[0].text);
        assert!(found[0].text.contains("may reach it instead of p-1"), "{}", found[0].text);
        assert_eq!(default_port(&[ours], &cluster)[0].severity, Ok);
    }

    #[test]
    fn who_holds_a_wanted_port_is_not_said_twice() {
        let cluster = [port("p-1", 5432, PortHolder::Other("container tetra".into()))];
        assert_eq!(default_port(&[listener("127.0.0.1:5432", "container tetra", false)], &cluster), []);
    }

    #[test]
    fn silence_on_the_default_port_is_well() {
        assert_eq!(default_port(&[], &[])[0].severity, Ok);
    }
}
