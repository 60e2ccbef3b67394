//! A real Prometheus of a test's own: as the sidecar configures it, but scrapes one agent each second.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Runs until it is dropped.
pub struct Prometheus {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes an agent at this port of the host, and answers at the other.
    pub fn scraping(agent_port: u16, port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut config = std::fs::read_to_string(root.join("compose/monitoring/prometheus.yml")).unwrap();
        // What differs from the sidecar's own.
        for (ours, here) in [
            ("interval: 15s", "interval: 1s".to_owned()),
            ("/etc/prometheus/rules", root.join("dashboards/rules").display().to_string()),
            ("agent:9187", format!("127.0.0.1:{agent_port}")),
        ] {
            assert!(config.contains(ours), "{ours}");
            config = config.replace(ours, &here);
        }
        let file = dir.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("this test needs prometheus, Debian's package of that name; .ci/run installs it");
        Self { process, port, _dir: dir }
    }

    /// What a query gives now; nothing while it does not answer yet.
    pub fn query(&self, query: &str) -> Vec<Value> {
        let encoded = percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC);
        let Some(answer) = self.get(&format!("/api/v1/query?query={encoded}")) else { return Vec::new() };
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// The unit that it read for a metric; only OpenMetrics tells units. None while it has not read it yet.
    pub fn unit(&self, metric: &str) -> Option<String> {
        let answer = self.get(&format!("/api/v1/targets/metadata?metric={metric}"))?;
        answer["data"][0]["unit"].as_str().map(str::to_owned)
    }

    fn get(&self, path: &str) -> Option<Value> {
        get(self.port, path)
    }
}

/// What a Prometheus at this port answers. Version 1.0 of the protocol has no chunks to put together.
pub fn get(port: u16, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nhost: test\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
