//! Where the newest base backup of a scope begins: holes in the log before that position matter to nobody who wants the newest
//! state back. Reads one manifest at most.

use tokio::io::AsyncReadExt;

use crate::backup::manifest::{FILE_NAME, Manifest};
use crate::model::backup::{BackupId, Kind, ObjectKey, Scope};
use crate::model::lsn::Lsn;
use crate::store::{Listed, Store, StoreError};

/// A manifest is a few kilobytes; what is larger is none.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The name of the newest complete base backup among a store's objects.
pub fn newest(listed: &[Listed]) -> Option<(BackupId, &ObjectKey)> {
    let base = |listed: &Listed| -> Option<BackupId> {
        let folder = listed.key.as_str().strip_suffix(FILE_NAME)?.strip_suffix('/')?;
        let id: BackupId = folder.rsplit('/').next()?.parse().ok()?;
        id.as_str().split('-').nth(1).is_some_and(|kind| kind == Kind::Base.word()).then_some(id)
    };
    listed.iter().filter_map(|listed| Some((base(listed)?, &listed.key))).max()
}

/// Where it begins; `None` without one, or when its manifest cannot be read.
pub async fn newest_start(store: &dyn Store, scope: &Scope) -> Result<Option<Lsn>, StoreError> {
    let below: ObjectKey = scope.to_string().parse().expect("a scope is a plain part");
    let listed = store.list(Some(&below)).await?;
    let Some((_, key)) = newest(&listed) else { return Ok(None) };
    let mut text = Vec::new();
    let read = store.get(key).await?.take(LARGEST).read_to_end(&mut text).await;
    let manifest = read.ok().and_then(|_| Manifest::parse(&text, key.as_str()).ok());
    Ok(manifest.and_then(|manifest| manifest.position.lsn.parse().ok()))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_complete_base_backups_count() {
        let listed: Vec<Listed> = [
            "trading/20261121T021500Z-base-3f9a/manifest.json",
            "trading/20261122T021500Z-base-3f9a/manifest.json",
            "trading/20261123T021500Z-base-3f9a/base.tar.zst",
            "trading/20261124T021500Z-full-3f9a/manifest.json",
            "trading/wal/archive.json",
        ]
        .map(|key| Listed { key: key.parse().unwrap(), bytes: 1, written: SystemTime::UNIX_EPOCH })
        .to_vec();
        assert_eq!(newest(&listed).unwrap().0.as_str(), "20261122T021500Z-base-3f9a");
        assert_eq!(newest(&listed[2..]), None);
    }
}
