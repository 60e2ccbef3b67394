//! A bucket on a real S3 server, on good days and on bad ones.

use std::future::Future;
use std::io::Cursor;
use std::process::Command;
use std::time::Duration;

use aws_sdk_s3::config::Credentials;
use hypertide::model::backup::{S3Options, StoreChoice, StoreUrl};
use hypertide::store::open::{open, probe};
use hypertide::store::s3::{S3, Step};
use hypertide::store::{Bytes, Fault, Store, StoreError};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use crate::contract::{self, Stalls, key, keys, read, sample};
use crate::faults::{ALWAYS, Fault as Bad, Proxy, Seen};
use crate::server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};

/// Three parts.
const LARGE: usize = 20 << 20;

fn at(endpoint: &str) -> S3Options {
    S3Options { endpoint: Some(endpoint.to_owned()), path_style: true, ..S3Options::default() }
}

async fn as_user(endpoint: &str, access: &str, secret: &str) -> S3 {
    let credentials = Credentials::new(access, secret, None, None, "the test");
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).credentials_provider(credentials);
    S3::with_config(BUCKET, "some/prefix", &at(endpoint), config).await
}

async fn store(endpoint: &str) -> S3 {
    as_user(endpoint, ACCESS_KEY, SECRET_KEY).await
}

async fn put(store: &S3, at: &str, bytes: &[u8]) -> Result<u64, StoreError> {
    store.put(&key(at), Box::pin(Cursor::new(bytes.to_vec()))).await
}

/// No secret is in what a person may be shown.
fn says(error: &StoreError, fault: Fault, text: &str) {
    let shown = format!("{error} {error:?} {}", error.help());
    assert_eq!(error.fault, fault, "{shown}");
    assert!(shown.contains(text), "{shown}");
    assert!(!shown.contains(SECRET_KEY) && !shown.contains("Signature="), "{shown}");
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    for _ in 0..300 {
        if ask().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came to this: {what}");
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_stores() {
    let server = Server::start();
    contract::holds(&store(&server.endpoint()).await).await;
    eventually("the server keeps nothing of what was given up", async || server.loose_parts() == 0).await;
}

#[tokio::test]
async fn parts_that_wait_in_files_arrive_as_they_were() {
    const STEPS: &[Step] = &[
        Step { up_to: 1, bytes: 5 << 20, is_spooled: false },
        Step { up_to: 10_000, bytes: 7 << 20, is_spooled: true },
    ];
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    // The second attempt has to begin at the beginning of the file.
    proxy.on(|seen| seen.is_part() && seen.target.contains("partNumber=2"), 1, Bad::CutUpload(3 << 20));
    let store = store(&proxy.endpoint()).await.with_parts(STEPS);
    let bytes = sample(30 << 20, 1);
    assert_eq!(put(&store, "large", &bytes).await.unwrap(), bytes.len() as u64);
    assert!(read(&store, &key("large")).await == bytes);
    assert!(proxy.count(Seen::is_part) > 5, "{}", proxy.count(Seen::is_part));
}

#[tokio::test]
async fn objects_of_others_and_other_prefixes_are_not_seen() {
    let server = Server::start();
    let ours = store(&server.endpoint()).await;
    put(&ours, "a", b"x").await.unwrap();
    for foreign in ["elsewhere/a", "some/prefixed/a", "some/prefix/two words"] {
        let path = server.file(foreign);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    assert_eq!(keys(&ours, None).await, ["a"]);
}

#[tokio::test]
async fn a_service_that_throttles_for_a_moment_is_waited_for() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    proxy.on(Seen::is_create, 2, Bad::Answer(503, "SlowDown"));
    proxy.on(Seen::is_part, 2, Bad::Answer(500, "InternalError"));
    proxy.on(Seen::is_complete, 1, Bad::Answer(503, "ServiceUnavailable"));
    proxy.on(Seen::is_get, 1, Bad::Answer(503, "SlowDown"));
    let store = store(&proxy.endpoint()).await;
    let bytes = sample(LARGE, 2);
    put(&store, "large", &bytes).await.unwrap();
    assert!(read(&store, &key("large")).await == bytes);
    assert!(store.leftovers(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_service_that_fails_for_good_is_unavailable_and_nothing_is_listed() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    proxy.on(Seen::is_put, ALWAYS, Bad::Answer(500, "InternalError"));
    proxy.on(Seen::is_complete, ALWAYS, Bad::Answer(503, "SlowDown"));
    let store = store(&proxy.endpoint()).await;
    let (small, large) = (sample(10, 3), sample(LARGE, 4));
    let (small, large) = tokio::join!(put(&store, "small", &small), put(&store, "large", &large));
    says(&small.unwrap_err(), Fault::Unavailable, "(InternalError, HTTP 500)");
    says(&large.unwrap_err(), Fault::Unavailable, "(SlowDown, HTTP 503)");
    assert!(keys(&store, None).await.is_empty());
    assert!(store.leftovers(None).await.unwrap().is_empty(), "the upload was aborted");
    eventually("the server keeps nothing of it", async || server.loose_parts() == 0).await;
}

#[tokio::test]
async fn wrong_credentials_are_denied_without_being_told() {
    let server = Server::start();
    let wrong_secret = as_user(&server.endpoint(), ACCESS_KEY, "another-secret").await;
    says(&put(&wrong_secret, "a", b"x").await.unwrap_err(), Fault::Denied, "SignatureDoesNotMatch");
    let unknown = as_user(&server.endpoint(), "AKIATIDE0000NOBODY00", SECRET_KEY).await;
    says(&unknown.list(None).await.unwrap_err(), Fault::Denied, "HTTP 403");
    says(&probe(&unknown).await.unwrap_err(), Fault::Denied, "cannot open s3://tide-backups/some/prefix:");
    assert!(keys(&store(&server.endpoint()).await, None).await.is_empty());
}

#[tokio::test]
async fn a_clock_that_is_off_is_named() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    proxy.on(|_| true, ALWAYS, Bad::Answer(403, "RequestTimeTooSkewed"));
    let store = store(&proxy.endpoint()).await;
    says(&put(&store, "a", b"x").await.unwrap_err(), Fault::ClockSkew, "set this host's clock");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_missing() {
    let server = Server::start();
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "the test");
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).credentials_provider(credentials);
    let store = S3::with_config("no-such-bucket", "", &at(&server.endpoint()), config).await;
    says(&put(&store, "a", b"x").await.unwrap_err(), Fault::Missing, "NoSuchBucket");
    says(&put(&store, "a", &sample(LARGE, 5)).await.unwrap_err(), Fault::Missing, "s3://no-such-bucket/a");
    says(&store.list(None).await.unwrap_err(), Fault::Missing, "the bucket");
}

#[tokio::test]
async fn a_connection_cut_in_mid_upload_leaves_neither_object_nor_upload() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    proxy.on(Seen::is_part, ALWAYS, Bad::CutUpload(1 << 20));
    let store = store(&proxy.endpoint()).await;
    let error = put(&store, "cut", &sample(LARGE, 6)).await.unwrap_err();
    says(&error, Fault::Unavailable, "cannot write s3://tide-backups/some/prefix/cut");
    assert!(keys(&store, None).await.is_empty());
    assert!(store.leftovers(None).await.unwrap().is_empty());
    eventually("the server gives up its half parts", || async { server.loose_parts() == 0 }).await;
}

#[tokio::test]
async fn an_upload_that_could_not_even_be_aborted_is_left_over_until_it_is_discarded() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    proxy.on(Seen::is_part, ALWAYS, Bad::CutUpload(1 << 20));
    proxy.on(Seen::is_abort, ALWAYS, Bad::Answer(500, "InternalError"));
    let broken = store(&proxy.endpoint()).await;
    // More of them than a page of the listing has.
    let bytes = sample(LARGE, 7);
    let (one, two, three) =
        tokio::join!(put(&broken, "cut/1", &bytes), put(&broken, "cut/2", &bytes), put(&broken, "cut-3", &bytes));
    for error in [one, two, three] {
        says(&error.unwrap_err(), Fault::Unavailable, "cut");
    }
    let store = store(&server.endpoint()).await;
    assert!(keys(&store, None).await.is_empty());
    let names = |left: &[hypertide::store::Leftover]| left.iter().map(|left| left.key.to_string()).collect::<Vec<_>>();
    let all = store.leftovers(None).await.unwrap();
    assert_eq!(names(&all), ["cut-3", "cut/1", "cut/2"]);
    assert_eq!(names(&store.leftovers(Some(&key("cut"))).await.unwrap()), ["cut/1", "cut/2"]);
    for leftover in &all {
        store.discard(leftover).await.unwrap();
        store.discard(leftover).await.expect("a second time is as good");
    }
    assert!(store.leftovers(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_aborted_by_itself() {
    let server = Server::start();
    let store = store(&server.endpoint()).await;
    let (told, stalled) = oneshot::channel();
    let stalls = Stalls { bytes: Cursor::new(sample(LARGE, 8)), told: Some(told) };
    let at = key("given-up");
    tokio::select! {
        put = store.put(&at, Box::pin(stalls)) => panic!("it has no end: {put:?}"),
        stalled = stalled => stalled.unwrap(),
    }
    eventually("no upload is left", || async { store.leftovers(None).await.unwrap().is_empty() }).await;
    assert!(keys(&store, None).await.is_empty());
}

#[tokio::test]
async fn an_object_whose_answer_was_lost_is_stored_once_and_well() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    proxy.on(Seen::is_complete, 1, Bad::LoseAnswer);
    proxy.on(Seen::is_put, 1, Bad::LoseAnswer);
    let store = store(&proxy.endpoint()).await;
    let bytes = sample(LARGE, 9);
    put(&store, "large", &bytes).await.expect("the second attempt finds no upload, the object is there");
    put(&store, "small", b"x").await.unwrap();
    assert!(proxy.count(Seen::is_complete) == 2 && proxy.count(Seen::is_put) == 2);
    assert!(read(&store, &key("large")).await == bytes);
}

#[tokio::test]
async fn bytes_that_change_on_their_way_are_not_stored() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    proxy.on(|seen| seen.is_part() || seen.is_put(), ALWAYS, Bad::Change(5));
    let store = store(&proxy.endpoint()).await;
    let (small, large) = (sample(1000, 10), sample(LARGE, 11));
    for (at, bytes) in [("small", &small), ("large", &large)] {
        let error = put(&store, at, bytes).await.unwrap_err();
        says(&error, Fault::Unavailable, at);
    }
    assert!(keys(&store, None).await.is_empty());
    assert!(store.leftovers(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_download_that_ends_early_is_an_error() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    let store = store(&proxy.endpoint()).await;
    put(&store, "large", &sample(LARGE, 12)).await.unwrap();
    proxy.on(Seen::is_get, ALWAYS, Bad::CutDownload(9 << 20));
    let mut stream: Bytes<'_> = store.get(&key("large")).await.unwrap();
    let mut read = Vec::new();
    let error = stream.read_to_end(&mut read).await.expect_err("the answer is cut");
    assert!(read.len() < LARGE, "{}", read.len());
    let error = error.into_inner().and_then(|inner| inner.downcast::<StoreError>().ok()).expect("it says what it is");
    says(&error, Fault::Unavailable, "cannot read s3://tide-backups/some/prefix/large");
}

#[tokio::test]
async fn a_small_object_that_was_changed_in_the_store_is_an_error() {
    let server = Server::start();
    let store = store(&server.endpoint()).await;
    put(&store, "small", &sample(1000, 13)).await.unwrap();
    crate::server::damage(&server.file("some/prefix/small"));
    let mut read = Vec::new();
    let error = store.get(&key("small")).await.unwrap().read_to_end(&mut read).await.expect_err("its checksum differs");
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unavailable_in_bounded_time() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = store(&format!("http://{nobody}")).await;
    let tried = tokio::time::timeout(Duration::from_mins(2), store.list(None)).await.expect("it does not hang");
    says(&tried.unwrap_err(), Fault::Unavailable, "onnection refused");
}

/// The environment is the process's, so these ask in a process of their own.
fn ask(environment: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "bucket::asks_with_the_environment_it_has", "--ignored", "--nocapture"]);
    child.env_remove("AWS_PROFILE").env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    child.envs(environment.iter().copied());
    let output = child.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "run by the test below, in an environment made for it"]
async fn asks_with_the_environment_it_has() {
    let url: StoreUrl = format!("s3://{BUCKET}").parse().unwrap();
    let endpoint = std::env::var("TEST_ENDPOINT").unwrap();
    let store = open(&StoreChoice { url, s3: at(&endpoint) }).await.unwrap();
    let answer = probe(&*store).await.map_err(|error| format!("{:?}: {error}", error.fault));
    std::io::Write::write_all(&mut std::io::stdout(), format!("{answer:?}\n").as_bytes()).unwrap();
}

#[test]
fn credentials_come_from_where_the_sdk_looks_for_them() {
    let server = Server::start();
    let endpoint = server.endpoint();
    let keys = [
        ("TEST_ENDPOINT", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    let by_environment = ask(&keys);
    assert!(by_environment.contains("Ok(())"), "{by_environment}");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials");
    std::fs::write(
        &file,
        format!("[backups]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"),
    )
    .unwrap();
    let by_profile =
        ask(&[keys[0], ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()), ("AWS_PROFILE", "backups")]);
    assert!(by_profile.contains("Ok(())"), "{by_profile}");

    let none = ask(&keys[..1]);
    assert!(none.contains("Denied: cannot open s3://tide-backups: there are no credentials"), "{none}");
}
