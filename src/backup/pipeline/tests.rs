//! Whatever goes in comes out; whatever is not what went in is an error; whatever fails stores nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use super::*;
use crate::model::backup::{Sealing, StoreUrl};
use crate::store::{Bytes, Doing, Leftover, Listed, StoreError};

/// Objects in memory; `is_full` makes every write fail after the first chunk.
#[derive(Debug, Default)]
struct Shelf {
    objects: Mutex<BTreeMap<ObjectKey, Vec<u8>>>,
    is_full: bool,
    is_stuck: bool,
}

fn failed(doing: Doing, key: &ObjectKey, fault: Fault) -> StoreError {
    StoreError { doing, what: key.to_string(), fault, because: format!("{fault:?}") }
}

impl Store for Shelf {
    fn url(&self) -> &StoreUrl {
        unreachable!("nobody asks")
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, mut bytes: Bytes<'a>) -> BoxFuture<'a, Result<u64, StoreError>> {
        async move {
            let mut object = Vec::new();
            if self.is_stuck {
                std::future::pending::<()>().await;
            }
            if self.is_full {
                let _ = bytes.read_u8().await;
                return Err(failed(Doing::Put, key, Fault::Full));
            }
            bytes.read_to_end(&mut object).await.map_err(|_| failed(Doing::Put, key, Fault::Producer))?;
            let stored = object.len() as u64;
            self.objects.lock().unwrap().insert(key.clone(), object);
            Ok(stored)
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Bytes<'static>, StoreError>> {
        async move {
            let object = self.objects.lock().unwrap().get(key).cloned();
            let object = object.ok_or_else(|| failed(Doing::Get, key, Fault::Missing))?;
            Ok(Box::pin(io::Cursor::new(object)) as Bytes<'static>)
        }
        .boxed()
    }

    fn list<'a>(&'a self, _: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        let listed = |(key, object): (&ObjectKey, &Vec<u8>)| Listed {
            key: key.clone(),
            bytes: object.len() as u64,
            written: SystemTime::UNIX_EPOCH,
        };
        std::future::ready(Ok(self.objects.lock().unwrap().iter().map(listed).collect())).boxed()
    }

    fn remove<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.objects.lock().unwrap().remove(key);
        std::future::ready(Ok(())).boxed()
    }

    fn leftovers<'a>(&'a self, _: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Leftover>, StoreError>> {
        std::future::ready(Ok(Vec::new())).boxed()
    }

    fn discard<'a>(&'a self, _: &'a Leftover) -> BoxFuture<'a, Result<(), StoreError>> {
        std::future::ready(Ok(())).boxed()
    }
}

fn key() -> ObjectKey {
    "trading/a-backup/archive.dump.zst".parse().expect("a key")
}

/// A pair of a recipient and what opens it.
fn pair() -> (String, Keys) {
    let identity = Identity::generate();
    let keys = Keys::parse(identity.to_string().expose_secret(), Path::new("keys.txt")).expect("well-formed");
    (identity.to_public().to_string(), keys)
}

fn how(is_compressed: bool, recipients: Vec<String>) -> Seal {
    let mut seal = Seal::new(&Sealing { recipients, ..Sealing::default() }).expect("good recipients");
    seal.is_compressed = is_compressed;
    seal
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

async fn store(shelf: &Shelf, bytes: &[u8], how: &Seal) -> ObjectRecord {
    let sealed = seal(Plain(io::Cursor::new(bytes.to_vec())), how, shelf, &key(), |_| ()).await.expect("stored");
    sealed.record("archive.dump.zst", Part::Archive, None, how)
}

/// Everything a reader gives, read on a thread as it has to be.
async fn read(mut reader: impl Read + Send + 'static) -> Result<Vec<u8>, PipelineError> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    let lost = |source| PipelineError::Read { key: key(), source };
    reading.await.expect("no panic").map_err(|error| PipelineError::from_io(error, lost))
}

async fn unsealed(shelf: &Arc<Shelf>, record: &ObjectRecord, keys: Option<&Keys>) -> Result<Vec<u8>, PipelineError> {
    read(unseal(shelf.clone(), key(), record, keys, |_| ())?).await
}

/// Bytes that compress, and more of them than fit into a chunk.
fn long() -> Vec<u8> {
    (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> (i % 29)).to_le_bytes()[0]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_come_back(
        bytes in proptest::collection::vec(any::<u8>(), 0..200_000), is_compressed: bool, is_encrypted: bool, threads in 0_u32..2,
    ) {
        let (recipient, keys) = pair();
        let mut how = how(is_compressed, if is_encrypted { vec![recipient] } else { vec![] });
        how.threads = threads;
        run(async {
            let shelf = Arc::new(Shelf::default());
            let record = store(&shelf, &bytes, &how).await;
            assert_eq!(record.raw_bytes, bytes.len() as u64);
            assert_eq!(unsealed(&shelf, &record, Some(&keys)).await.expect("as it was"), bytes);
            let dyn_store: Arc<dyn Store> = shelf;
            let checked = check(&dyn_store, &key(), &record, None).await.expect("as it was");
            assert_eq!(checked.is_decoded, !is_encrypted);
        });
    }

    #[test]
    fn any_change_of_the_stored_bytes_is_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..3_000), is_compressed: bool, is_encrypted: bool,
        at: prop::sample::Index, flip in 1_u8.., change in 0..4,
    ) {
        let (recipient, keys) = pair();
        let how = how(is_compressed, if is_encrypted { vec![recipient] } else { vec![] });
        run(async {
            let shelf = Arc::new(Shelf::default());
            let record = store(&shelf, &bytes, &how).await;
            {
                let mut objects = shelf.objects.lock().unwrap();
                let object = objects.get_mut(&key()).expect("stored");
                match change {
                    _ if object.is_empty() => object.push(flip),
                    0 => { let at = at.index(object.len()); object[at] ^= flip; }
                    1 => object.truncate(at.index(object.len())),
                    2 => object.push(flip),
                    // As if it had been written twice over.
                    _ => { let again = object.clone(); object.extend(again); }
                }
            }
            let error = unsealed(&shelf, &record, Some(&keys)).await.expect_err("not as it was");
            // Where the change hits the stanza that belongs to our key, no key fits any more.
            assert!(matches!(error, PipelineError::Damaged { .. } | PipelineError::WrongIdentity { .. }), "{error}");
            let dyn_store: Arc<dyn Store> = shelf;
            assert!(check(&dyn_store, &key(), &record, Some(&keys)).await.is_err());
            assert!(check(&dyn_store, &key(), &record, None).await.is_err());
        });
    }
}

#[test]
fn more_than_fits_between_both_sides_comes_back_too_and_progress_ends_at_its_size() {
    let bytes = long();
    for (is_long, threads) in [(false, 0), (false, 2), (true, 1)] {
        let mut how = how(true, vec![]);
        (how.is_long, how.threads) = (is_long, threads);
        let (shelf, last) = (Arc::new(Shelf::default()), Mutex::new(Progress::default()));
        run(async {
            let told = |progress: Progress| *last.lock().unwrap() = progress;
            let source = Plain(io::Cursor::new(bytes.clone()));
            let sealed = seal(source, &how, &*shelf, &key(), told).await.expect("stored");
            assert!(sealed.stored_bytes < sealed.raw_bytes);
            assert_eq!(last.lock().unwrap().stored_bytes, sealed.stored_bytes);
            assert_eq!(last.lock().unwrap().raw_bytes, sealed.raw_bytes);
            let record = sealed.record("a", Part::Archive, None, &how);
            assert!(unsealed(&shelf, &record, None).await.expect("as it was") == bytes);
        });
    }
}

/// Gives some bytes, then fails.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.min(buffer.len());
        self.0 -= read;
        if read == 0 { Err(io::Error::other("pg_dump failed with exit code 1")) } else { Ok(read) }
    }
}

#[test]
fn a_source_that_fails_stores_nothing_and_its_error_is_the_cause() {
    for bytes in [0, 10, 5_000_000] {
        let shelf = Shelf::default();
        let sealed = run(seal(Plain(Failing(bytes)), &how(false, vec![]), &shelf, &key(), |_| ()));
        let error = sealed.expect_err("its source fails");
        assert!(crate::error::in_one_line(&error).ends_with("pg_dump failed with exit code 1"), "{error}");
        assert!(shelf.objects.lock().unwrap().is_empty());
    }
}

#[test]
fn a_store_that_fails_says_so_itself() {
    let shelf = Shelf { is_full: true, ..Shelf::default() };
    let sealed = run(seal(Plain(io::repeat(7)), &how(false, vec![]), &shelf, &key(), |_| ()));
    assert!(matches!(sealed, Err(PipelineError::Store(StoreError { fault: Fault::Full, .. }))), "{sealed:?}");
}

/// Waits for bytes that never come, until it is stopped; tells when it is dropped.
struct Waiting {
    never: mpsc::Receiver<()>,
    stop: Arc<Mutex<Option<mpsc::Sender<()>>>>,
    _dropped: mpsc::Sender<()>,
}

impl Read for Waiting {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let _ = self.never.recv();
        Err(io::Error::other("stopped"))
    }
}

impl Source for Waiting {
    fn stopper(&self) -> Stopper {
        let stop = self.stop.clone();
        Stopper::new(move || drop(stop.lock().unwrap().take()))
    }
}

#[test]
fn a_seal_that_is_given_up_ends_its_source_also_while_it_waits() {
    for is_stuck in [false, true] {
        let (stop, never) = mpsc::channel();
        let (dropped, ended) = mpsc::channel();
        let source = Waiting { never, stop: Arc::new(Mutex::new(Some(stop))), _dropped: dropped };
        let shelf = Shelf { is_stuck, ..Shelf::default() };
        run(async {
            let how = how(true, vec![]);
            let key = key();
            let mut sealing = Box::pin(seal(source, &how, &shelf, &key, |_| ()));
            assert!(futures_util::poll!(&mut sealing).is_pending());
        });
        // The source is dropped, or this waits for ever.
        assert_eq!(ended.recv(), Err(mpsc::RecvError));
        assert!(shelf.objects.lock().unwrap().is_empty());
    }
}

#[test]
fn only_who_has_an_identity_reads_what_is_encrypted() {
    let ((recipient, keys), (_, others)) = (pair(), pair());
    let how = how(true, vec![recipient]);
    assert_eq!(how.suffix(), ".zst.age");
    run(async {
        let shelf = Arc::new(Shelf::default());
        let record = store(&shelf, b"rows", &how).await;
        assert!(record.is_encrypted);
        assert_eq!(unsealed(&shelf, &record, Some(&keys)).await.expect("the right one"), b"rows");
        let error = unsealed(&shelf, &record, Some(&others)).await.expect_err("the wrong one");
        assert!(matches!(error, PipelineError::WrongIdentity { .. }), "{error}");
        let error = unsealed(&shelf, &record, None).await.expect_err("none");
        assert!(matches!(error, PipelineError::NoIdentity { .. }), "{error}");
    });
}

#[test]
fn a_missing_object_is_told_as_the_store_tells_it() {
    run(async {
        let shelf = Arc::new(Shelf::default());
        let record = store(&shelf, b"rows", &how(true, vec![])).await;
        shelf.remove(&key()).await.expect("removed");
        let error = unsealed(&shelf, &record, None).await.expect_err("gone");
        assert!(matches!(error, PipelineError::Store(StoreError { fault: Fault::Missing, .. })), "{error}");
    });
}

#[test]
fn a_reader_that_failed_never_says_that_it_is_at_the_end() {
    let shelf = Arc::new(Shelf::default());
    let outcomes = run(async {
        let record = store(&shelf, &long(), &how(true, vec![])).await;
        shelf.objects.lock().unwrap().get_mut(&key()).expect("stored").truncate(1000);
        let mut reader = unseal(shelf.clone(), key(), &record, None, |_| ()).expect("opened");
        let reading = move || {
            let mut buffer = vec![0; 10_000];
            while reader.read(&mut buffer).is_ok() {}
            reader.read(&mut buffer)
        };
        tokio::task::spawn_blocking(reading).await.expect("no panic")
    });
    assert!(outcomes.is_err());
}
