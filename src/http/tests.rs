//! The server with real connections, on looks that are made up.

mod guarded;

use std::time::{Instant, SystemTime};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::plan::simulate::Event;
use crate::status::latest::{FRESH_FOR, Look};
use crate::status::tests::{healthy, status};

/// An answer: its code, its head in lower case, its body.
struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Serves one look while a test asks.
async fn with_server<F: Future<Output = ()>>(latest: Latest, limits: Limits, ask: impl FnOnce(SocketAddr) -> F) {
    with_guarded(latest, Guard::default(), limits, ask).await;
}

/// The same where not everybody may ask.
async fn with_guarded<F: Future<Output = ()>>(
    latest: Latest,
    guard: Guard,
    limits: Limits,
    ask: impl FnOnce(SocketAddr) -> F,
) {
    let listener = bind("127.0.0.1:0".parse().expect("an address"), &guard).await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let (_publish, latest) = watch::channel(latest);
    let (_collects, collected) = watch::channel(Collected::default());
    let stop = CancellationToken::new();
    let streams = Streams::new(limits, stop.clone());
    let router = routes::router(Source { latest, passes: PassMetrics::default(), collected, streams }, guard.clone());
    let asking = async {
        ask(at).await;
        stop.cancel();
    };
    let (served, ()) = tokio::join!(serve(&listener, router, guard.tls.as_ref(), limits, &stop), asking);
    served.expect("it served");
}

async fn send(at: SocketAddr, request: &str) -> Answer {
    send_over(TcpStream::connect(at).await.expect("it listens"), request).await
}

async fn send_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("it answers and closes");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    Answer { code, head: head.to_lowercase(), body: body.to_owned() }
}

async fn get(at: SocketAddr, path: &str) -> Answer {
    send(at, &format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await
}

fn nothing() -> Latest {
    Latest::new(Instant::now())
}

fn seen() -> Latest {
    let mut latest = nothing();
    latest.saw(Look { status: status(&healthy()), began: Instant::now(), at: SystemTime::UNIX_EPOCH });
    latest
}

#[tokio::test]
async fn every_path_answers_and_nothing_is_to_be_cached() {
    with_server(seen(), Limits::default(), async |at| {
        for (path, media_type, body) in [
            ("/", "text/html", "<a href=\"/metrics\">/metrics</a>"),
            ("/livez", "text/plain", "alive\n"),
            ("/readyz", "text/plain", "ready\n"),
            ("/primary", "text/plain", "primary-1\n"),
            ("/primary?node=primary-1", "text/plain", "primary-1\n"),
            ("/replica", "text/plain", "replica-1\nreplica-2\n"),
            ("/replica?node=replica-2", "text/plain", "replica-2\n"),
            ("/api/v1/status", "application/json", "\"health\":\"healthy\""),
            ("/metrics", "text/plain; version=0.0.4", "hypertide_up 1\n"),
        ] {
            let answer = get(at, path).await;
            assert_eq!(answer.code, 200, "{path}: {}", answer.body);
            assert!(answer.body.contains(body), "{path}: {}", answer.body);
            assert!(answer.head.contains("cache-control: no-store"), "{path}: {}", answer.head);
            assert!(answer.head.contains(&format!("content-type: {media_type}")), "{path}: {}", answer.head);
        }
        let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
        let open = send(at, &format!("GET /metrics HTTP/1.1\r\nhost: test\r\n{accept}\r\n")).await;
        assert!(open.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", open.head);
        assert!(open.head.contains("vary: accept") && open.body.contains("hypertide_up 1.0\n"), "{}", open.body);
        assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
        let head = send(at, "HEAD /readyz HTTP/1.1\r\nhost: test\r\n\r\n").await;
        assert_eq!((head.code, head.body.as_str()), (200, ""));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_told_in_json() {
    with_server(seen(), Limits::default(), async |at| {
        for (request, code, said) in [
            ("GET /nowhere", 404, "there is no /nowhere; there are / /events /livez"),
            ("GET /readyz/", 404, "there is no /readyz/"),
            ("GET /primary?node=nobody", 404, "there is no node `nobody`"),
            ("GET /primary?nod=primary-1", 400, "unknown field `nod`"),
            ("POST /api/v1/status", 405, "only GET and HEAD"),
            ("DELETE /", 405, "only GET and HEAD"),
        ] {
            let answer = send(at, &format!("{request} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
            assert_eq!(answer.code, code, "{request}: {}", answer.body);
            let message = answer.json()["error"]["message"].as_str().expect("a message").to_owned();
            assert!(message.contains(said), "{request}: {message}");
            assert!(answer.head.contains("cache-control: no-store"), "{request}: {}", answer.head);
            assert_eq!(code == 405, answer.head.contains("allow: get,head"), "{request}: {}", answer.head);
        }
    })
    .await;
}

#[tokio::test]
async fn the_status_is_that_of_the_command_line_with_its_age() {
    with_server(seen(), Limits::default(), async |at| {
        let mut document = get(at, "/api/v1/status").await.json();
        let keys = document.as_object_mut().expect("an object");
        assert_eq!(keys.remove("observed_at"), Some("1970-01-01T00:00:00.000Z".into()));
        let age = keys.remove("age_seconds").and_then(|age| age.as_f64()).expect("a number");
        assert!((0.0..60.0).contains(&age), "{age}");
        assert_eq!(document, serde_json::to_value(status(&healthy())).expect("JSON"));
    })
    .await;
}

#[tokio::test]
async fn before_the_first_look_only_the_loop_is_well() {
    let mut latest = nothing();
    latest.missed("the engine does not answer".into());
    with_server(latest, Limits::default(), async |at| {
        assert_eq!(get(at, "/livez").await.code, 200);
        for path in ["/readyz", "/primary", "/replica", "/api/v1/status"] {
            let answer = get(at, path).await;
            assert_eq!(answer.code, 503, "{path}");
            assert!(answer.body.contains("nothing was seen yet: the engine does not answer"), "{}", answer.body);
        }
        let metrics = get(at, "/metrics").await.body;
        assert!(metrics.contains("hypertide_up 0\n") && !metrics.contains("hypertide_node"), "{metrics}");
    })
    .await;
}

#[tokio::test]
async fn an_old_look_is_shown_with_its_age_and_counts_for_nothing_else() {
    let mut latest = seen();
    let look = latest.look.as_mut().expect("it was seen");
    look.began = look.began.checked_sub(FRESH_FOR * 2).expect("the machine is up that long");
    with_server(latest, Limits::default(), async |at| {
        let document = get(at, "/api/v1/status").await;
        assert_eq!(document.code, 200);
        assert!(document.json()["age_seconds"].as_f64() >= Some(20.0), "{}", document.body);
        for path in ["/readyz", "/primary", "/replica"] {
            assert_eq!(get(at, path).await.body, "the last look is 20 s old\n", "{path}");
        }
        let metrics = get(at, "/metrics").await.body;
        assert!(metrics.contains("hypertide_up 0\n") && !metrics.contains("hypertide_node"), "{metrics}");
        assert!(metrics.contains("hypertide_agent_observation_age_seconds 20."), "{metrics}");
    })
    .await;
}

#[tokio::test]
async fn nobody_is_kept_waiting_by_those_who_send_nothing() {
    let limits = Limits {
        connections: 2,
        connection: Duration::from_millis(200),
        head: Duration::from_millis(100),
        drain: Duration::from_millis(100),
        ..Limits::default()
    };
    with_server(seen(), limits, async |at| {
        let mut silent = Vec::new();
        for sent in ["", "GET /livez HTTP/1.1\r\nhost:", "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n", "GET /"] {
            let mut stream = TcpStream::connect(at).await.expect("it listens");
            stream.write_all(sent.as_bytes()).await.expect("it reads");
            silent.push(stream);
        }
        assert_eq!(get(at, "/livez").await.code, 200);
        let began = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MOST_HEAD_BYTES * 2));
        assert!((400..500).contains(&send(at, &began).await.code), "a head without end");
    })
    .await;
}

#[tokio::test]
async fn what_is_being_answered_when_the_agent_ends_is_finished_or_cut_off() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let mut late = None;
    with_server(seen(), limits, async |at| {
        let mut stream = TcpStream::connect(at).await.expect("it listens");
        stream.write_all(b"GET /livez").await.expect("it reads");
        assert_eq!(get(at, "/livez").await.code, 200, "so the first one was accepted");
        late = Some(stream);
    })
    .await;
    let mut rest = Vec::new();
    let _ = late.expect("kept").read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_lost_primary_and_a_lost_replica_are_told() {
    let mut cluster = healthy();
    Event::Kill(1).happen(&mut cluster);
    Event::Kill(2).happen(&mut cluster);
    let look = |cluster: &_| Look { status: status(cluster), began: Instant::now(), at: SystemTime::now() };
    let mut latest = nothing();
    latest.saw(look(&cluster));
    with_server(latest.clone(), Limits::default(), async |at| {
        assert_eq!(get(at, "/readyz").await.code, 200, "the agent itself is ready");
        assert_eq!(get(at, "/primary").await.code, 200);
        let replica = get(at, "/replica").await;
        assert_eq!(replica.code, 503);
        let lines: Vec<&str> = replica.body.lines().collect();
        let expected =
            ["replica-1", "replica-2"].map(|name| format!("{name}: its role is unknown, its container exited"));
        assert_eq!(lines, expected);
    })
    .await;
    Event::Kill(0).happen(&mut cluster);
    latest.saw(look(&cluster));
    with_server(latest, Limits::default(), async |at| {
        let primary = get(at, "/primary").await;
        assert_eq!((primary.code, primary.body.as_str()), (503, "no node takes writes\n"));
    })
    .await;
}

#[tokio::test]
async fn the_page_may_run_what_is_in_it_and_nothing_else() {
    with_server(seen(), Limits::default(), async |at| {
        let page = get(at, "/").await;
        assert_eq!(page.code, 200);
        for header in
            ["content-security-policy: default-src 'none'; style-src 'sha256-", "x-content-type-options: nosniff"]
        {
            assert!(page.head.contains(header), "{}", page.head);
        }
        assert!(!page.head.contains("unsafe") && !page.head.contains("http:"), "{}", page.head);
        for outside in ["src=\"http", "href=\"http", "url(", "@import"] {
            assert!(!page.body.contains(outside), "{outside}");
        }
    })
    .await;
}

/// Reads until a piece of text has come, or nothing more does.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(wanted) {
        if stream.read_buf(&mut text).await.expect("it answers") == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

async fn open_page(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("it reads");
    stream
}

#[tokio::test]
async fn open_pages_are_told_at_once_and_are_few_and_end() {
    let limits = Limits {
        streams: 2,
        stream: Duration::from_millis(1500),
        connection: Duration::from_millis(500),
        ..Limits::default()
    };
    with_server(seen(), limits, async |at| {
        let (mut first, mut second) = (open_page(at).await, open_page(at).await);
        for stream in [&mut first, &mut second] {
            let begun = read_until(stream, "event: beat").await;
            assert!(begun.to_lowercase().contains("content-type: text/event-stream"), "{begun}");
            assert!(begun.contains("event: page") && begun.contains("data: <main id=\"main\""), "{begun}");
        }
        let third = get(at, "/events").await;
        assert_eq!(third.code, 503, "{}", third.body);
        assert!(third.json()["error"]["message"].as_str().is_some_and(|it| it.contains("as many pages")));
        assert_eq!(get(at, "/livez").await.code, 200, "others are answered");
        let rest = read_until(&mut first, "never comes").await;
        assert!(rest.contains("event: beat"), "longer than another connection\n{rest}");
        assert!(!rest.contains("event: page"), "nothing changed\n{rest}");
        drop(second);
        let again = read_until(&mut open_page(at).await, "event: beat").await;
        assert!(again.contains("200 OK"), "there is room again\n{again}");
    })
    .await;
}

#[tokio::test]
async fn open_pages_end_with_the_agent() {
    let limits = Limits { drain: Duration::from_mins(1), ..Limits::default() };
    let mut open = None;
    with_server(seen(), limits, async |at| {
        let mut stream = open_page(at).await;
        read_until(&mut stream, "event: beat").await;
        open = Some(stream);
    })
    .await;
    let rest = read_until(&mut open.expect("kept"), "never comes").await;
    assert!(rest.ends_with("0\r\n\r\n") || rest.is_empty(), "it is complete\n{rest}");
}
