use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;

use super::*;
use crate::backup::catalog::tests::{id, manifest, put, put_backup, scope};
use crate::model::backup::{Keep, Kind, ObjectKey, StoreUrl};
use crate::store::memory::Memory;
use crate::store::{Bytes, Doing, Fault, Listed};

/// A store that refuses every removal after so many.
#[derive(Debug)]
struct Cut<'a> {
    inner: &'a Memory,
    left: AtomicUsize,
}

impl Store for Cut<'_> {
    fn url(&self) -> &StoreUrl {
        self.inner.url()
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes<'a>) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.inner.put(key, bytes)
    }

    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Bytes<'static>, StoreError>> {
        self.inner.get(key)
    }

    fn list<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        self.inner.list(below)
    }

    fn remove<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if self.left.load(Ordering::Relaxed) == 0 {
                return Err(StoreError::new(Doing::Remove, self.url(), Some(key), Fault::Unavailable, "cut off"));
            }
            self.left.fetch_sub(1, Ordering::Relaxed);
            self.inner.remove(key).await
        })
    }

    fn leftovers<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Leftover>, StoreError>> {
        self.inner.leftovers(below)
    }

    fn discard<'a>(&'a self, leftover: &'a Leftover) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.discard(leftover)
    }
}

async fn filled() -> Memory {
    let store = Memory::default();
    let base = |minute, parent| manifest(&id(minute, Kind::Base), Kind::Base, Some("base"), parent);
    put_backup(&store, &base(1, None)).await;
    put_backup(&store, &base(2, Some(id(1, Kind::Base)))).await;
    put_backup(&store, &base(3, None)).await;
    put(&store, &format!("trading/{}/drills/20261121T000000Z.json", id(1, Kind::Base)), b"{}").await;
    put(&store, &format!("trading/{}/archive.dump.zst", id(4, Kind::Full)), b"rows").await;
    put(&store, "other/readme.txt", b"not ours").await;
    put(&store, "trading/notes.txt", b"not ours").await;
    store
}

fn known() -> Known {
    let keep = Keep { last: 1, ..Keep::default() };
    Known {
        policies: Policies { jobs: [("base".to_owned(), Some(keep))].into(), ..Policies::default() },
        ..Known::default()
    }
}

async fn keys(store: &dyn Store) -> Vec<String> {
    store.list(None).await.expect("listed").into_iter().map(|listed| listed.key.to_string()).collect()
}

#[tokio::test]
async fn what_goes_goes_and_everything_else_stays() {
    let store = filled().await;
    // Long after: what was written just now, by this host's clock, is old as well.
    let now = Utc::now() + chrono::TimeDelta::days(2);
    let prune = plan(&store, &scope(), &known(), now).await.expect("planned");
    assert!(!prune.is_empty());
    let removed = prune.execute(&store, |_| ()).await.expect("removed");
    assert_eq!((removed.backups, removed.orphans, removed.segments, removed.unfinished), (2, 1, 0, 0));
    let newest = id(3, Kind::Base);
    assert_eq!(
        keys(&store).await,
        [
            "other/readme.txt".to_owned(),
            format!("trading/{newest}/archive.dump.zst"),
            format!("trading/{newest}/manifest.json"),
            "trading/notes.txt".to_owned()
        ]
    );
    assert!(plan(&store, &scope(), &known(), now).await.expect("planned").is_empty());
}

#[tokio::test]
async fn cut_off_anywhere_it_leaves_whole_backups_and_another_run_goes_on() {
    let now = Utc::now() + chrono::TimeDelta::days(2);
    for left in 0..8 {
        let store = filled().await;
        let cut = Cut { inner: &store, left: AtomicUsize::new(left) };
        let prune = plan(&cut, &scope(), &known(), now).await.expect("planned");
        let is_cut = prune.execute(&cut, |_| ()).await.is_err();
        // Six objects and manifests go in all.
        assert_eq!(is_cut, left < 6, "{left}");
        let catalog = catalog::load(&store, None).await.expect("listed");
        for entry in catalog.entries() {
            assert!(entry.unusable().is_none(), "{left}: {} is {:?}", entry.id, entry.unusable());
            let parent = entry.manifest().and_then(|manifest| manifest.parent.clone());
            assert!(parent.is_none_or(|parent| catalog.find(parent.as_str(), &catalog::Wanted::default()).is_ok()));
        }
        let again = plan(&store, &scope(), &known(), now).await.expect("planned");
        again.execute(&store, |_| ()).await.expect("removed");
        assert_eq!(keys(&store).await.len(), 4, "{left}");
    }
}

#[tokio::test]
async fn what_is_written_to_or_being_made_is_left_alone() {
    let store = filled().await;
    let lone = id(4, Kind::Full);
    let stays = async |known: &Known, now: DateTime<Utc>| {
        let prune = plan(&store, &scope(), known, now).await.expect("planned");
        prune.pruning.orphans[0].is_kept()
    };
    let later = Utc::now() + chrono::TimeDelta::days(2);
    assert!(stays(&known(), Utc::now()).await);
    assert!(!stays(&known(), later).await);
    assert!(stays(&Known { running: [lone].into(), ..known() }, later).await);
    let patient = Known { longest_run: Duration::from_hours(7 * 24), ..known() };
    assert!(stays(&patient, later).await);
    assert!(!stays(&Known { grace: Some(Duration::ZERO), ..patient }, Utc::now()).await, "somebody said so");
}
