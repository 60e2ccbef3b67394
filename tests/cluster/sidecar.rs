//! Prometheus and Grafana beside a cluster (`compose/sidecar.yml`): the files fit together, and nothing is open or secret in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde::Deserialize;

#[derive(Deserialize)]
struct Composed {
    services: BTreeMap<String, Service>,
    secrets: BTreeMap<String, Secret>,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    #[serde(default)]
    profiles: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
}

#[derive(Deserialize)]
struct Secret {
    file: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn composed() -> Composed {
    serde_yaml::from_str(&std::fs::read_to_string(root().join("compose/sidecar.yml")).unwrap()).unwrap()
}

fn succeeds(said: &Output) {
    let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{text}");
}

#[test]
fn docker_compose_and_promtool_find_the_files_good() {
    let compose = |arguments: &[&str]| {
        let mut command = Command::new("docker-compose");
        command.args(["-f", "compose/sidecar.yml"]).args(arguments).current_dir(root());
        // What somebody has set must not matter here.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).output()
    };
    let lacking = "this test needs docker-compose, Debian's package of that name; .ci/run installs it";
    for profiles in [&[][..], &["--profile", "agent", "--profile", "tools"]] {
        succeeds(&compose(&[profiles, &["config", "--quiet"]].concat()).expect(lacking));
    }
    let said = Command::new("promtool")
        .args(["check", "config", "--syntax-only", "compose/monitoring/prometheus.yml"])
        .current_dir(root())
        .output()
        .expect("this test needs promtool, which is in Debian's package prometheus; .ci/run installs it");
    succeeds(&said);
}

#[test]
fn images_are_pinned_ports_are_on_loopback_and_secrets_are_files() {
    let composed = composed();
    for (name, service) in &composed.services {
        let (_, tag) = service.image.rsplit_once(':').unwrap();
        assert!(tag.contains(|c: char| c.is_ascii_digit()) && tag != "latest", "{name}: {tag}");
        for port in &service.ports {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for (variable, value) in &service.environment {
            let is_secret = variable.to_lowercase().contains("password");
            assert_eq!(is_secret, value.starts_with("/run/secrets/"), "{name}: {variable}");
        }
    }
    for (name, profiles) in [("prometheus", &[][..]), ("grafana", &[]), ("agent", &["agent"]), ("pgadmin", &["tools"])]
    {
        assert_eq!(composed.services[name].profiles, profiles, "{name}");
    }
    assert!(composed.secrets.values().all(|secret| secret.file.contains("./secrets/")));
    assert!(std::fs::read_to_string(root().join(".gitignore")).unwrap().contains("compose/secrets/\n"));
}

#[test]
fn every_dashboard_and_rule_is_mounted_where_it_is_looked_for() {
    let composed = composed();
    let compose = root().join("compose");
    let mounted: BTreeMap<&str, &str> = ["prometheus", "grafana"]
        .iter()
        .flat_map(|service| &composed.services[*service].volumes)
        .filter_map(|volume| volume.strip_suffix(":ro")?.split_once(':'))
        .collect();
    for ours in mounted.keys() {
        assert!(compose.join(ours).is_file(), "{ours}");
    }
    for (dir, ending, place) in
        [("dashboards", "json", "/etc/grafana/hypertide"), ("dashboards/rules", "yml", "/etc/prometheus/rules")]
    {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(&format!(".{ending}")) {
                assert_eq!(mounted.get(format!("../{dir}/{name}").as_str()), Some(&format!("{place}/{name}").as_str()));
            }
        }
    }
    let provider = std::fs::read_to_string(compose.join("monitoring/grafana/dashboards.yml")).unwrap();
    assert!(provider.contains("path: /etc/grafana/hypertide}"));
    let rules = std::fs::read_to_string(compose.join("monitoring/prometheus.yml")).unwrap();
    assert!(rules.contains("rule_files: [/etc/prometheus/rules/*.yml]"));
}
