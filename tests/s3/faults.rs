//! A proxy between a client and an S3 server that does what networks and services do on bad days.
//!
//! It reads the head of each request, finds the first rule that applies, and answers instead of the server, cuts the connection
//! in mid-body, or changes or delays what passes. One request per connection. It records every request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// For ever.
pub const ALWAYS: usize = usize::MAX;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is answered with this status and error code; the server never sees it.
    Answer(u16, &'static str),
    /// The connection is cut after so many bytes of its body.
    CutUpload(u64),
    /// The connection is cut after so many bytes of the answer, its head included.
    CutDownload(u64),
    /// The server does as it is asked; the answer is lost.
    LoseAnswer,
    /// The byte at this place of its body is changed.
    Change(u64),
    /// It waits.
    Delay(Duration),
}

/// A request that came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Bytes of its body.
    pub length: u64,
}

impl Seen {
    /// A whole object is written.
    pub fn is_put(&self) -> bool {
        self.method == "PUT" && !self.target.contains("uploadId=")
    }

    /// A part is written.
    pub fn is_part(&self) -> bool {
        self.method == "PUT" && self.target.contains("uploadId=")
    }

    /// An upload is begun.
    pub fn is_create(&self) -> bool {
        self.method == "POST" && !self.target.contains("uploadId=")
    }

    /// An upload is completed.
    pub fn is_complete(&self) -> bool {
        self.method == "POST" && self.target.contains("uploadId=")
    }

    /// An upload is aborted.
    pub fn is_abort(&self) -> bool {
        self.method == "DELETE" && self.target.contains("uploadId=")
    }

    /// An object is read.
    pub fn is_get(&self) -> bool {
        self.method == "GET" && !self.target.contains("list-type") && !self.target.contains("uploads")
    }
}

struct Rule {
    applies: fn(&Seen) -> bool,
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<Seen>,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    /// In front of a server, without any fault yet.
    pub fn before(server: SocketAddr) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let (told, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
                told.send(listener.local_addr().expect("it is bound")).expect("the test waits for it");
                let accept = async {
                    while let Ok((client, _)) = listener.accept().await {
                        let state = Arc::clone(&shared);
                        // What breaks here is what the test is about.
                        tokio::spawn(async move { relay(client, server, &state).await.ok() });
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the proxy has begun");
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// For clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this happens to so many requests of that kind. Earlier rules go first.
    pub fn on(&self, applies: fn(&Seen) -> bool, times: usize, fault: Fault) {
        self.state.lock().unwrap().rules.push(Rule { applies, times, fault });
    }

    /// No faults any more.
    pub fn heal(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// How many requests of a kind came by.
    pub fn count(&self, applies: fn(&Seen) -> bool) -> usize {
        self.state.lock().unwrap().seen.iter().filter(|seen| applies(seen)).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn decide(state: &Mutex<State>, seen: Seen) -> Option<Fault> {
    let mut state = state.lock().unwrap();
    let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && (rule.applies)(&seen));
    let fault = rule.map(|rule| {
        rule.times -= usize::from(rule.times != ALWAYS);
        rule.fault
    });
    state.seen.push(seen);
    fault
}

async fn relay(mut client: TcpStream, server: SocketAddr, state: &Mutex<State>) -> std::io::Result<()> {
    let Some((head, rest)) = head(&mut client).await? else { return Ok(()) };
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let length = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or_default();
    let fault = decide(state, Seen { method: word(), target: word(), length });
    if let Some(Fault::Answer(status, code)) = fault {
        if field("expect:").is_none() {
            let left = length.saturating_sub(rest.len() as u64);
            tokio::io::copy(&mut (&mut client).take(left), &mut tokio::io::sink()).await?;
        }
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>As the test wants.</Message></Error>");
        let answer = format!(
            "HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    if let Some(Fault::Delay(time)) = fault {
        tokio::time::sleep(time).await;
    }
    let mut upstream = TcpStream::connect(server).await?;
    let head = format!("{}\r\nConnection: close\r\n\r\n", head.trim_end());
    upstream.write_all(head.as_bytes()).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = upstream.split();
    let (most, changed) = match fault {
        Some(Fault::CutUpload(most)) => (most, None),
        Some(Fault::Change(place)) => (length, Some(place)),
        _ => (length, None),
    };
    let up = async {
        pass(&mut rest.as_slice().chain(&mut from_client), &mut to_server, most, changed).await?;
        if most < length {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        // The answer ends this.
        std::future::pending::<std::io::Result<()>>().await
    };
    let down = async {
        match fault {
            Some(Fault::CutDownload(most)) => pass(&mut from_server, &mut to_client, most, None).await,
            Some(Fault::LoseAnswer) => tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await.map(drop),
            _ => pass(&mut from_server, &mut to_client, u64::MAX, None).await,
        }
    };
    tokio::select! {
        cut = up => cut,
        answered = down => answered,
    }
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    most: u64,
    changed: Option<u64>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut passed = 0;
    while passed < most {
        let room = usize::try_from(most - passed).unwrap_or(usize::MAX).min(buffer.len());
        let read = from.read(&mut buffer[..room]).await?;
        if read == 0 {
            break;
        }
        if let Some(place) = changed.and_then(|place| place.checked_sub(passed))
            && let Some(byte) = usize::try_from(place).ok().and_then(|place| buffer[..read].get_mut(place))
        {
            *byte ^= 1;
        }
        to.write_all(&buffer[..read]).await?;
        passed += read as u64;
    }
    to.flush().await
}

/// The head of a request, and what of its body came with it.
async fn head(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), rest)));
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}
