//! Container specifications of Prometheus and Grafana, and who runs in them. Their configuration is put there before they start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, RestartPolicyNameEnum};

use super::engine::{DockerError, Engine};
use super::labels;
use super::spec::{host_config, network, published};
use crate::model::monitoring::Monitor;
use crate::model::names::ClusterName;
use crate::plan::monitoring::files::{GRAFANA_DATA, GRAFANA_PASSWORD, PROMETHEUS_CONFIG, PROMETHEUS_DATA};
use crate::plan::monitoring::step::MonitorSpec;

/// Seconds they get to write down what they have in memory.
pub const STOP_PATIENCE_SECS: i32 = 30;

/// The container as planned. Whatever `bind` says for nodes, it is reached from this host only: Prometheus asks for no password.
pub fn container(cluster: &ClusterName, spec: &MonitorSpec) -> ContainerCreateBody {
    let monitor = spec.monitor;
    let mut labels = labels::of_cluster(cluster, labels::KIND_MONITORING);
    labels.insert(labels::PORT.to_owned(), spec.port.to_string());
    labels.insert(labels::SPEC.to_owned(), spec.digest());
    let port = format!("{}/tcp", monitor.port());
    let (data, command, env) = match monitor {
        Monitor::Prometheus => (PROMETHEUS_DATA, Some(arguments(spec)), None),
        Monitor::Grafana => (GRAFANA_DATA, None, Some(environment())),
    };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: Some(monitor.name().to_owned()),
        labels: Some(labels),
        cmd: command,
        env,
        exposed_ports: Some(vec![port.clone()]),
        host_config: Some(HostConfig {
            mounts: Some(vec![Mount {
                typ: Some(MountType::VOLUME),
                source: Some(cluster.monitor_volume(monitor)),
                target: Some(data.to_owned()),
                ..Default::default()
            }]),
            port_bindings: Some(published(&port, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), spec.port))),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            ..host_config(RestartPolicyNameEnum::UNLESS_STOPPED)
        }),
        networking_config: Some(network(cluster, &[monitor.name()])),
        ..Default::default()
    }
}

fn arguments(spec: &MonitorSpec) -> Vec<String> {
    let retention = spec.retention_secs.map(|secs| format!("--storage.tsdb.retention.time={secs}s"));
    [format!("--config.file={PROMETHEUS_CONFIG}"), format!("--storage.tsdb.path={PROMETHEUS_DATA}")]
        .into_iter()
        .chain(retention)
        .collect()
}

/// As in `compose/sidecar.yml`: nobody signs up, nothing is sent anywhere, and the password is read from a file.
fn environment() -> Vec<String> {
    vec![
        format!("GF_SECURITY_ADMIN_PASSWORD__FILE={GRAFANA_PASSWORD}"),
        "GF_USERS_ALLOW_SIGN_UP=false".into(),
        "GF_ANALYTICS_REPORTING_ENABLED=false".into(),
        "GF_ANALYTICS_CHECK_FOR_UPDATES=false".into(),
    ]
}

impl Engine {
    /// User and group id that a container's process has.
    pub async fn container_user(&self, name: &str) -> Result<(u64, u64), DockerError> {
        let doing = format!("find out as whom {name} runs");
        let seen = self.client().inspect_container(name, None).await;
        let seen = seen.map_err(|error| DockerError::from_bollard(doing.clone(), error))?;
        let user = seen.config.and_then(|config| config.user).unwrap_or_default();
        if let Some(ids) = numbered(&user) {
            return Ok(ids);
        }
        let passwd = self.read_file(name, "/etc/passwd").await?.unwrap_or_default();
        ids_of(&String::from_utf8_lossy(&passwd), &user)
            .ok_or_else(|| DockerError::Unexpected { doing, because: format!("it has no user `{user}`") })
    }
}

/// `472`, `472:0`, or nothing, which is root. Without a group a number has the group 0.
fn numbered(user: &str) -> Option<(u64, u64)> {
    if user.is_empty() {
        return Some((0, 0));
    }
    let (user, group) = user.split_once(':').unwrap_or((user, "0"));
    Some((user.parse().ok()?, group.parse().unwrap_or(0)))
}

fn ids_of(passwd: &str, user: &str) -> Option<(u64, u64)> {
    let user = user.split(':').next()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields.as_slice() else { return None };
        if *name == user { Some((uid.parse().ok()?, gid.parse().ok()?)) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(monitor: Monitor) -> ContainerCreateBody {
        let spec = MonitorSpec {
            monitor,
            image: "image".into(),
            port: 9999,
            retention_secs: (monitor == Monitor::Prometheus).then_some(3600),
            files: "f".into(),
            secret: None,
        };
        container(&ClusterName::new("trading").expect("valid"), &spec)
    }

    #[test]
    fn they_are_reached_from_this_host_only_have_no_rights_and_come_back_by_themselves() {
        for monitor in Monitor::ALL {
            let host = body(monitor).host_config.expect("set");
            let ports = host.port_bindings.expect("bound");
            let binding = ports[&format!("{}/tcp", monitor.port())].as_ref().and_then(|it| it.first()).expect("one");
            assert_eq!((binding.host_ip.as_deref(), binding.host_port.as_deref()), (Some("127.0.0.1"), Some("9999")));
            assert_eq!(host.cap_drop.as_deref(), Some(["ALL".to_owned()].as_slice()));
            let mounts = host.mounts.expect("set");
            assert!(mounts.iter().all(|mount| mount.typ == Some(MountType::VOLUME)), "nothing of the host is in it");
            let restart = host.restart_policy.and_then(|policy| policy.name);
            assert_eq!(restart, Some(RestartPolicyNameEnum::UNLESS_STOPPED));
        }
    }

    #[test]
    fn grafanas_password_is_a_file_and_not_in_its_environment() {
        let env = body(Monitor::Grafana).env.expect("set");
        let of_passwords: Vec<&String> = env.iter().filter(|line| line.contains("PASSWORD")).collect();
        assert_eq!(of_passwords, ["GF_SECURITY_ADMIN_PASSWORD__FILE=/var/lib/grafana/hypertide_admin_password"]);
        assert_eq!(body(Monitor::Prometheus).env, None);
    }

    #[test]
    fn a_user_is_a_number_a_name_or_root() {
        for (user, ids) in [("", Some((0, 0))), ("472", Some((472, 0))), ("65534:65534", Some((65_534, 65_534)))] {
            assert_eq!(numbered(user), ids, "{user}");
        }
        assert_eq!(numbered("nobody"), None);
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nnobody:x:65534:65533:n:/:/bin/false\n";
        assert_eq!(ids_of(passwd, "nobody"), Some((65_534, 65_533)));
        assert_eq!(ids_of(passwd, "nobody:root"), Some((65_534, 65_533)));
        assert_eq!(ids_of(passwd, "grafana"), None);
    }
}
