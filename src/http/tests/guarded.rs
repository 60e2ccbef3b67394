//! Who is let in where not everybody is, and what is encrypted.

use std::path::Path;

use super::*;
use crate::http::client::{self, ClientError};
use crate::model::desired;

/// A name with a password, and perhaps TLS with this certificate and key.
fn wanted(dir: &Path, pair: Option<(String, String)>) -> desired::Guard {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("room");
        path
    };
    let basic_auth = desired::BasicAuth { username: "prometheus".into(), password_file: write("password", "s3cret\n") };
    let tls = pair.map(|(certificate, key)| desired::TlsFiles {
        certificate: write("agent.crt", &certificate),
        key: write("agent.key", &key),
    });
    desired::Guard { tls, basic_auth: Some(basic_auth), bearer_token_file: None }
}

fn guarded(wanted: &desired::Guard) -> Guard {
    Guard::open(wanted).expect("readable")
}

/// `prometheus:s3cret`
const CREDENTIALS: &str = "authorization: Basic cHJvbWV0aGV1czpzM2NyZXQ=\r\n";

#[tokio::test]
async fn where_a_password_was_agreed_nothing_is_told_without_it() {
    let dir = tempfile::tempdir().expect("room");
    with_guarded(seen(), guarded(&wanted(dir.path(), None)), Limits::default(), async |at| {
        for path in routes::PATHS.into_iter().chain(["/nowhere"]).filter(|path| *path != "/livez") {
            let answer = get(at, path).await;
            assert_eq!(answer.code, 401, "{path}");
            assert!(answer.head.contains("www-authenticate: basic realm=\"hypertide\""), "{path}: {}", answer.head);
            assert!(answer.head.contains("cache-control: no-store"), "{path}: {}", answer.head);
            assert!(
                !answer.body.contains("primary-1") && answer.json()["error"]["message"].is_string(),
                "{}",
                answer.body
            );
        }
        assert_eq!(get(at, "/livez").await.code, 200, "a probe needs no password");
        for path in ["/", "/metrics", "/api/v1/status", "/primary"] {
            let let_in = send(at, &format!("GET {path} HTTP/1.1\r\nhost: test\r\n{CREDENTIALS}\r\n")).await;
            assert_eq!(let_in.code, 200, "{path}");
        }
        let sneaky = send(at, "GET /livez/../metrics HTTP/1.1\r\nhost: test\r\n\r\n").await;
        assert_eq!(sneaky.code, 401);
    })
    .await;
}

#[tokio::test]
async fn connections_are_encrypted_where_there_is_a_certificate() {
    let dir = tempfile::tempdir().expect("room");
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let guard = guarded(&wanted(dir.path(), Some((pair.cert.pem(), pair.signing_key.serialize_pem()))));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pair.cert.der().clone()).expect("a certificate");
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let limits = Limits { head: Duration::from_millis(300), connections: 2, ..Limits::default() };
    with_guarded(seen(), guard, limits, async |at| {
        // Whoever does not begin to agree on keys keeps nobody waiting.
        let silent =
            [TcpStream::connect(at).await.expect("it listens"), TcpStream::connect(at).await.expect("it listens")];
        for (credentials, code) in [(CREDENTIALS, 200), ("", 401)] {
            let stream = TcpStream::connect(at).await.expect("it listens");
            let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
            let stream = connector.connect(name, stream).await.expect("they agree");
            let request = format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{credentials}\r\n");
            let answer = send_over(stream, &request).await;
            assert_eq!(answer.code, code);
            assert_eq!(answer.body.contains("hypertide_up 1"), code == 200, "{}", answer.body);
        }
        drop(silent);
        let mut plain = TcpStream::connect(at).await.expect("it listens");
        plain.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("it reads");
        let mut said = Vec::new();
        let _ = plain.read_to_end(&mut said).await;
        assert!(!String::from_utf8_lossy(&said).contains("hypertide"), "nothing is told in the clear");
    })
    .await;
}

#[tokio::test]
async fn the_command_line_asks_with_what_its_configuration_has_and_trusts_that_certificate_alone() {
    let (dir, elsewhere) = (tempfile::tempdir().expect("room"), tempfile::tempdir().expect("room"));
    let pair = || {
        let pair = rcgen::generate_simple_self_signed(["agent.example".to_owned()]).expect("made");
        Some((pair.cert.pem(), pair.signing_key.serialize_pem()))
    };
    let (same, other) = (wanted(dir.path(), pair()), wanted(elsewhere.path(), pair()));
    let (guard, limits) = (guarded(&same), Limits::default());
    with_guarded(seen(), guard, limits, async |at| {
        let text = client::scrape(at, &same).await.expect("it is let in");
        assert!(text.contains("hypertide_up 1\n"), "{text}");
        let error = client::scrape(at, &other).await.expect_err("another certificate");
        assert!(matches!(error, ClientError::Silent { .. }), "{error}");
        let without = desired::Guard { basic_auth: None, ..same.clone() };
        let error = client::scrape(at, &without).await.expect_err("no password").to_string();
        assert_eq!(error, format!("the agent at {at} answered 401 Unauthorized"));
    })
    .await;
    let at = "127.0.0.1:1".parse().expect("an address");
    let error = client::scrape(at, &desired::Guard::default()).await.expect_err("nobody listens").to_string();
    assert_eq!(error, "no agent answers at 127.0.0.1:1");
}
