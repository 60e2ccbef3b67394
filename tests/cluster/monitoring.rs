//! `up --monitoring`: Prometheus and Grafana beside a cluster, configured by what the binary carries.
//!
//! Prometheus is a real one: the host's own program in a local image. Grafana is a stand-in that ends unless every file is where
//! Grafana looks for it and the password can be read; that Grafana itself makes of them what it should is proven nowhere here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptionsBuilder};
use futures_util::StreamExt;
use hypertide::docker::image::bundled_reference;
use serde_json::{Value, json};

use crate::prometheus::get;
use crate::world::{World, docker, write};

/// A registry that nobody has.
const NOWHERE: &str = "127.0.0.1:1/hypertide/none:1";

/// Ends, and says what is missing, unless it finds what Grafana would look for. As Prometheus it only goes on for ever.
const STAND_IN: &str = r#"#!/bin/sh
set -eu
case "${1:-}" in --config.file=*) exec sleep infinity ;; esac
for file in provisioning/datasources/hypertide.yml provisioning/dashboards/hypertide.yml hypertide/backups.json \
    hypertide/cluster-overview.json hypertide/postgresql.json hypertide/replication.json hypertide/timescaledb.json; do
    [ -s "/etc/grafana/$file" ] || { echo "no $file"; exit 1; }
done
[ -n "$(cat "$GF_SECURITY_ADMIN_PASSWORD__FILE")" ] || { echo "no password"; exit 1; }
touch /var/lib/grafana/grafana.db || { echo "cannot write"; exit 1; }
echo "all in place"
exec sleep infinity
"#;

/// A local image of one test's own, removed when it is dropped, by force: containers that run it may still be about to go.
struct Image {
    reference: String,
}

impl Image {
    /// On top of the bundled image, which is there: `program` at `/program`, run as this user, who owns `data`.
    async fn of(program: &[u8], user: &str, data: &str) -> Self {
        let mut random = [0; 4];
        getrandom::fill(&mut random).unwrap();
        let reference = format!("hypertide-test/{:08x}:1", u32::from_ne_bytes(random));
        let dockerfile = format!(
            "FROM {}\nCOPY program /program\nRUN mkdir -p {data} && chown {user} {data}\nUSER {user}\nENTRYPOINT [\"/program\"]\nCMD []\n",
            bundled_reference()
        );
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes, mode) in [("Dockerfile", dockerfile.as_bytes(), 0o644), ("program", program, 0o755)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(mode);
            archive.append_data(&mut header, name, bytes).unwrap();
        }
        let labels = HashMap::from([("hypertide.test", "monitoring")]);
        let options = BuildImageOptionsBuilder::new().t(&reference).rm(true).forcerm(true).labels(&labels).build();
        let context = bollard::body_full(archive.into_inner().unwrap().into());
        let docker = docker();
        let mut answers = docker.build_image(options, None, Some(context));
        while let Some(answer) = answers.next().await {
            answer.unwrap_or_else(|error| panic!("{reference}: {error}"));
        }
        Self { reference }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let reference = self.reference.clone();
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            runtime.block_on(docker().remove_image(&reference, Some(options), None)).map(|_| ())
        });
        if !matches!(removed.join(), Ok(Ok(()))) {
            eprintln!("could not remove {}", self.reference);
        }
    }
}

/// A world, which sees to it that the bundled image is there, and an image of its own.
async fn with_image(program: &[u8], user: &str, data: &str) -> (World, Image) {
    let world = World::new("");
    let image = Image::of(program, user, data).await;
    (world, image)
}

fn prometheus_of_the_host() -> Vec<u8> {
    let path = std::env::var_os("PATH").unwrap();
    let found: Option<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join("prometheus")).find(|it| it.is_file());
    let found = found.expect("this test needs prometheus, Debian's package of that name; .ci/run installs it");
    std::fs::read(found).unwrap()
}

/// What the engine tells everybody who may ask about a container.
fn inspected(world: &World, name: &str) -> String {
    let container = world.container(name);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { format!("{:?}", docker().inspect_container(&container, None).await.unwrap()) })
    })
    .join()
    .unwrap()
}

fn query(port: u16, query: &str) -> Vec<Value> {
    let encoded = percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC);
    let answer = get(port, &format!("/api/v1/query?query={encoded}")).unwrap_or_default();
    answer["data"]["result"].as_array().cloned().unwrap_or_default()
}

/// The state of each of the two, as `status` has it.
fn states(world: &World) -> Vec<(String, String)> {
    let status = world.status();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    status["monitoring"].as_array().unwrap().iter().map(|it| (text(&it["name"]), text(&it["state"]))).collect()
}

fn running(name: &str) -> (String, String) {
    (name.to_owned(), "running".to_owned())
}

fn alone(world: &World, more: &str) {
    world.configure(&format!("nodes: {{primary: {{port: {}}}, replicas: []}}\npacks: []\n{more}", world.ports[0]));
}

/// The hardest agent to scrape: it is encrypted and asks for a password.
fn guarded(world: &World) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["db.example".to_owned()]).unwrap();
    write(world, "agent.crt", &made.cert.pem());
    write(world, "agent.key", &made.signing_key.serialize_pem());
    write(world, "agent.password", "agent's own word\n");
    format!(
        "metrics: {{listen: '127.0.0.1:{}', tls: {{certificate: agent.crt, key: agent.key}}, basic_auth: {{username: prometheus, \
         password_file: agent.password}}}}\n",
        world.agent_port
    )
}

#[tokio::test]
async fn a_prometheus_beside_the_cluster_scrapes_its_agent_and_knows_the_rules() {
    let (world, image) = with_image(&prometheus_of_the_host(), "nobody", "/prometheus").await;
    let (port, guard) = (world.ports[5], guarded(&world));
    let monitoring = |retention: &str| {
        let prometheus = format!("{{image: '{}', port: {port}, retention: {retention}}}", image.reference);
        alone(&world, &format!("{guard}monitoring: {{prometheus: {prometheus}, grafana: off}}\n"));
    };
    monitoring("30d");
    let run = world.ok(&["up", "--monitoring"]);
    assert!(run.stdout.contains(&format!("prometheus http://127.0.0.1:{port}\n")), "{}", run.stdout);
    world.is_converged();
    assert_eq!(states(&world), [running("prometheus")]);

    world.eventually("Prometheus has scraped the agent", || !query(port, "hypertide_up == 1").is_empty());
    let targets = get(port, "/api/v1/targets").unwrap()["data"]["activeTargets"].clone();
    assert_eq!((&targets[0]["health"], targets.as_array().unwrap().len()), (&json!("up"), 1), "{targets}");
    assert_eq!(targets[0]["scrapeUrl"], "https://agent:9187/metrics");
    assert!(!query(port, "hypertide_cluster_health{health=\"healthy\"} == 1").is_empty());
    let rules = get(port, "/api/v1/rules").unwrap()["data"]["groups"].clone();
    let rules: Vec<&Value> = rules.as_array().unwrap().iter().flat_map(|it| it["rules"].as_array().unwrap()).collect();
    let of = |kind: &str| rules.iter().filter(|rule| rule["type"] == kind).count();
    let written = |file: &str, key: &str| {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        text.matches(&format!("- {key}: ")).count()
    };
    assert_eq!(of("alerting"), written("dashboards/rules/alerts.yml", "alert"));
    assert_eq!(of("recording"), written("dashboards/rules/recording.yml", "record"));
    assert!(!inspected(&world, "prometheus").contains("agent's own word"));

    // Another specification is another container, with what the first one was told.
    monitoring("7d");
    world.ok(&["up"]);
    world.is_converged();
    world.eventually("what was collected before is there", || {
        !query(port, "last_over_time(hypertide_up[10m]) == 1").is_empty()
    });

    world.ok(&["down"]);
    assert_eq!(states(&world), [("prometheus".to_owned(), "exited".to_owned())]);
    world.ok(&["up"]);
    assert_eq!(states(&world), [running("prometheus")]);
    // Who wants none any more says so; what was collected stays.
    alone(&world, &format!("{guard}monitoring: off\n"));
    world.ok(&["up"]);
    world.is_converged();
    assert!(states(&world).is_empty());
    let refused = world.run(&["up", "--monitoring"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    world.ok(&["destroy", "--yes"]);
    assert_eq!(world.leftovers().await, [""; 0]);
}

#[tokio::test]
async fn an_image_that_nobody_has_keeps_neither_the_cluster_nor_the_other_one_from_coming_up() {
    let (world, image) = with_image(STAND_IN.as_bytes(), "472", "/var/lib/grafana").await;
    let (prometheus, grafana) = (world.ports[5], world.ports[4]);
    let monitoring = |of_prometheus: &str| {
        let grafana = format!("{{image: '{}', port: {grafana}}}", image.reference);
        let prometheus = format!("{{image: '{of_prometheus}', port: {prometheus}}}");
        alone(&world, &format!("monitoring: {{prometheus: {prometheus}, grafana: {grafana}}}\n"));
    };
    monitoring(NOWHERE);
    let run = world.run(&["up"]);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    for said in [
        format!("error: could not provide the image {NOWHERE} for Prometheus"),
        "cause: Prometheus runs 127.0.0.1:1/hypertide/none:1, which is not on this host, and no registry gave it"
            .into(),
        "connection refused".into(),
        "help: the cluster itself is up; `docker load`".into(),
        "`monitoring.prometheus.image`".into(),
    ] {
        assert!(run.stderr.contains(&said), "{said}\n{}", run.stderr);
    }
    assert_eq!(world.sql("primary", "select 1"), "1");
    let state = |name: &str| (name.to_owned(), "absent".to_owned());
    assert_eq!(states(&world), [state("prometheus"), running("grafana")]);

    monitoring(&image.reference);
    let run = world.ok(&["up"]);
    world.is_converged();
    assert_eq!(states(&world), [running("prometheus"), running("grafana")]);
    let file = world.state_dir().join("grafana_password");
    assert!(run.stdout.contains(&format!("user admin, password in {}", file.display())), "{}", run.stdout);
    let password = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(password.len() > 20 && !inspected(&world, "grafana").contains(&password));
    assert!(world.ok(&["logs", "grafana"]).stdout.contains("all in place"));

    // A state directory that is lost gets back the password that Grafana's database was made with.
    std::fs::remove_dir_all(world.state_dir()).unwrap();
    let container = world.container("grafana");
    let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
    docker().remove_container(&container, Some(options)).await.unwrap();
    world.ok(&["up"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), password);
    world.ok(&["destroy", "--yes"]);
    assert_eq!(world.leftovers().await, [""; 0]);
    assert!(!file.exists());
}
