//! What every store has to keep, asserted on one: the tests of each implementation call [`holds`].
//!
//! Needs an empty store; leaves it empty. Uses names of its parent module only, so that an integration test can include the file.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::oneshot;

use super::{Bytes, Fault, ObjectKey, Store};

/// Larger than what any store sends in one piece.
const LARGE: usize = 21 << 20;

/// Panics unless the store keeps all of it.
pub async fn holds(store: &dyn Store) {
    assert!(keys(store, None).await.is_empty(), "the store is not empty to begin with");
    an_object_comes_back_as_it_was(store).await;
    what_is_not_there_is_missing(store).await;
    a_second_put_replaces_the_object(store).await;
    a_listing_has_what_lies_below_a_key_and_nothing_beside_it(store).await;
    objects_put_at_the_same_time_do_not_mix(store).await;
    a_producer_that_fails_stores_nothing(store).await;
    a_put_that_is_given_up_stores_nothing(store).await;
    an_earlier_object_survives_a_put_that_fails(store).await;
    assert!(keys(store, None).await.is_empty(), "something is left: {:?}", keys(store, None).await);
}

/// A key from a text that is one.
pub fn key(text: &str) -> ObjectKey {
    text.parse().expect("the test's keys are well-formed")
}

/// Bytes that differ at every place that matters, and with `salt`.
pub fn sample(length: usize, salt: u64) -> Vec<u8> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Reads a whole object.
pub async fn read(store: &dyn Store, key: &ObjectKey) -> Vec<u8> {
    let mut all = Vec::new();
    let mut stream = store.get(key).await.expect("the object is there");
    stream.read_to_end(&mut all).await.expect("it can be read to its end");
    all
}

/// The keys of a listing, as texts.
pub async fn keys(store: &dyn Store, below: Option<&str>) -> Vec<String> {
    let below = below.map(key);
    let listed = store.list(below.as_ref()).await.expect("the store can be listed");
    listed.into_iter().map(|object| object.key.to_string()).collect()
}

async fn put(store: &dyn Store, at: &str, bytes: &[u8]) {
    let written = store.put(&key(at), Box::pin(bytes)).await.expect("the object can be written");
    assert_eq!(written, bytes.len() as u64);
}

async fn is_missing(store: &dyn Store, at: &str) -> bool {
    matches!(store.get(&key(at)).await, Err(error) if error.fault == Fault::Missing)
}

/// Waits until nobody is writing below a key any more, discarding what is left of them.
pub async fn tidied(store: &dyn Store, below: &str) {
    for _ in 0..300 {
        let left = store.leftovers(Some(&key(below))).await.expect("leftovers can be listed");
        if left.is_empty() {
            return;
        }
        for leftover in &left {
            assert!(leftover.key.as_str().starts_with(below), "{leftover:?} does not lie below {below}");
            store.discard(leftover).await.expect("a leftover can be removed");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there are still leftovers below {below}");
}

async fn an_object_comes_back_as_it_was(store: &dyn Store) {
    let before = SystemTime::now() - Duration::from_secs(5);
    for (salt, length) in [0, 1, 4096, 1 << 20, 8 << 20, LARGE].into_iter().enumerate() {
        let (at, bytes) = (format!("whole/{salt}/object.zst"), sample(length, salt as u64));
        put(store, &at, &bytes).await;
        assert!(read(store, &key(&at)).await == bytes, "{length} bytes came back differently");
        let listed = store.list(Some(&key(&at))).await.expect("the store can be listed");
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].key.as_str(), listed[0].bytes), (at.as_str(), length as u64));
        assert!(listed[0].written >= before, "{:?}", listed[0]);
        store.remove(&key(&at)).await.expect("it can be removed");
        assert!(is_missing(store, &at).await, "{at} is still there");
    }
    assert!(store.leftovers(None).await.expect("leftovers can be listed").is_empty());
}

async fn what_is_not_there_is_missing(store: &dyn Store) {
    assert!(is_missing(store, "nowhere/object").await);
    assert!(keys(store, Some("nowhere")).await.is_empty());
    store.remove(&key("nowhere/object")).await.expect("removing nothing succeeds");
}

async fn a_second_put_replaces_the_object(store: &dyn Store) {
    put(store, "twice/object", &sample(100_000, 1)).await;
    put(store, "twice/object", &sample(10, 2)).await;
    assert!(read(store, &key("twice/object")).await == sample(10, 2));
    store.remove(&key("twice/object")).await.expect("it can be removed");
}

async fn a_listing_has_what_lies_below_a_key_and_nothing_beside_it(store: &dyn Store) {
    let all = ["a-b", "a.b/x", "a/b/x", "a/b/y", "a/b-c", "ab/x", "b"];
    for at in all {
        put(store, at, at.as_bytes()).await;
    }
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    assert_eq!(keys(store, None).await, sorted);
    assert_eq!(keys(store, Some("a")).await, ["a/b-c", "a/b/x", "a/b/y"]);
    assert_eq!(keys(store, Some("a/b")).await, ["a/b/x", "a/b/y"]);
    assert_eq!(keys(store, Some("b")).await, ["b"]);
    store.remove(&key("a/b/x")).await.expect("it can be removed");
    assert_eq!(keys(store, Some("a/b")).await, ["a/b/y"]);
    for at in all {
        store.remove(&key(at)).await.expect("it can be removed");
    }
    assert!(keys(store, None).await.is_empty());
}

async fn objects_put_at_the_same_time_do_not_mix(store: &dyn Store) {
    let objects: Vec<(String, Vec<u8>)> =
        (0..6_usize).map(|n| (format!("many/part-{n}"), sample(n << 20, n as u64))).collect();
    futures_util::future::join_all(objects.iter().map(|(at, bytes)| put(store, at, bytes))).await;
    for (at, bytes) in &objects {
        assert!(read(store, &key(at)).await == *bytes, "{at} came back differently");
    }
    futures_util::future::join_all(objects.iter().map(|(at, _)| {
        let at = key(at);
        async move { store.remove(&at).await.expect("it can be removed") }
    }))
    .await;
    assert!(keys(store, Some("many")).await.is_empty());
}

async fn a_producer_that_fails_stores_nothing(store: &dyn Store) {
    for length in [0, 1000, LARGE] {
        let bytes = sample(length, 3);
        let broken: Bytes<'_> = Box::pin(bytes.as_slice().chain(Broken));
        let error = store.put(&key("broken/object"), broken).await.expect_err("the producer fails");
        assert_eq!(error.fault, Fault::Producer, "{error}");
        assert!(error.to_string().contains("pg_dump ended"), "{error}");
        assert!(is_missing(store, "broken/object").await);
        assert!(keys(store, Some("broken")).await.is_empty());
        assert!(store.leftovers(None).await.expect("leftovers can be listed").is_empty(), "after {length} bytes");
    }
}

async fn a_put_that_is_given_up_stores_nothing(store: &dyn Store) {
    for length in [1000, LARGE] {
        let (told, stalled) = oneshot::channel();
        let stalls = Stalls { bytes: io::Cursor::new(sample(length, 4)), told: Some(told) };
        let at = key("given-up/object");
        tokio::select! {
            put = store.put(&at, Box::pin(stalls)) => panic!("it has no end, yet it ended: {put:?}"),
            stalled = stalled => stalled.expect("all of it is read"),
        }
        assert!(is_missing(store, "given-up/object").await);
        assert!(keys(store, Some("given-up")).await.is_empty());
        tidied(store, "given-up").await;
        assert!(is_missing(store, "given-up/object").await);
    }
}

async fn an_earlier_object_survives_a_put_that_fails(store: &dyn Store) {
    put(store, "earlier/object", b"earlier").await;
    let bytes = sample(LARGE, 5);
    store.put(&key("earlier/object"), Box::pin(bytes.as_slice().chain(Broken))).await.expect_err("the producer fails");
    assert_eq!(read(store, &key("earlier/object")).await, b"earlier");
    store.remove(&key("earlier/object")).await.expect("it can be removed");
}

/// A producer whose program has failed.
pub struct Broken;

impl AsyncRead for Broken {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("pg_dump ended with 1")))
    }
}

/// A producer that waits for ever once its bytes are read, and tells that it does.
pub struct Stalls {
    /// What it gives.
    pub bytes: io::Cursor<Vec<u8>>,
    /// Whom it tells.
    pub told: Option<oneshot::Sender<()>>,
}

impl AsyncRead for Stalls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.bytes).poll_read(context, buffer);
        if buffer.filled().len() > before {
            return read;
        }
        if let Some(told) = self.told.take() {
            // Nobody listens any more when the test has failed already.
            let _ = told.send(());
        }
        Poll::Pending
    }
}
