//! A directory on disks that are full, that nobody may write to, and under writers that are killed.

use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hypertide::store::disk::Disk;
use hypertide::store::{Fault, Store};

use crate::contract::{key, keys, read, sample};

/// A file system of a few mebibytes in memory; gone when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path()).output();
        let mounted = mounted.expect("`mount` is installed");
        assert!(
            mounted.status.success(),
            "this test mounts a tmpfs, which takes root: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        assert!(std::thread::panicking() || unmounted.is_ok_and(|status| status.success()), "still mounted");
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_what_was_stored_before_stays() {
    let small = SmallDisk::mount("size=4m");
    let disk = Disk::new(small.path().join("store"));
    disk.put(&key("a/earlier"), Box::pin(Cursor::new(sample(1 << 20, 1)))).await.unwrap();
    let error = disk.put(&key("b/large"), Box::pin(Cursor::new(sample(8 << 20, 2)))).await.unwrap_err();
    assert_eq!(error.fault, Fault::Full, "{error}");
    assert!(error.help().contains("prune"), "{}", error.help());
    assert_eq!(keys(&disk, None).await, ["a/earlier"]);
    assert!(read(&disk, &key("a/earlier")).await == sample(1 << 20, 1));
    assert!(disk.leftovers(None).await.unwrap().is_empty());
    disk.put(&key("b/small"), Box::pin(Cursor::new(sample(1 << 20, 3)))).await.expect("its room was given back");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_is_denied() {
    let small = SmallDisk::mount("size=4m");
    let disk = Disk::new(small.path().join("store"));
    disk.put(&key("a"), Box::pin(Cursor::new(b"x"))).await.unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(small.path()).status();
    assert!(remounted.unwrap().success());
    for attempt in [
        disk.put(&key("b"), Box::pin(Cursor::new(b"x"))).await.map(drop),
        disk.put(&key("c/d"), Box::pin(Cursor::new(b"x"))).await.map(drop),
        disk.remove(&key("a")).await,
    ] {
        let error = attempt.unwrap_err();
        assert_eq!(error.fault, Fault::Denied, "{error}");
    }
    assert_eq!(keys(&disk, None).await, ["a"]);
}

/// What the killed writer writes: as large as its standard input is long.
struct FromInput;

impl tokio::io::AsyncRead for FromInput {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let mut bytes = [0; 16 << 10];
        let most = bytes.len().min(buffer.remaining());
        let read = io::stdin().read(&mut bytes[..most])?;
        buffer.put_slice(&bytes[..read]);
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
#[ignore = "run by the test below, to be killed"]
async fn writes_what_it_is_given() {
    let disk = Disk::new(PathBuf::from(std::env::var("TEST_STORE").unwrap()));
    disk.put(&key("scope/object"), Box::pin(FromInput)).await.unwrap();
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_no_object_and_only_what_can_be_discarded() {
    const SIZE: usize = 3 << 20;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let disk = Disk::new(root.clone());
    let bytes = sample(SIZE, 4);
    let (mut whole, mut left_over) = (0, 0);
    for round in 0..40_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disk::writes_what_it_is_given", "--ignored"])
            .env("TEST_STORE", &root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let random = u64::from_le_bytes(sample(8, round + 1).try_into().unwrap());
        // The last rounds get all of it, and are killed a moment later, around the sync and the rename.
        let given = if round < 25 { usize::try_from(random).unwrap() % SIZE } else { SIZE };
        input.write_all(&bytes[..given]).unwrap();
        if given == SIZE {
            drop(input);
            tokio::time::sleep(Duration::from_micros(random % 30_000)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let listed = disk.list(None).await.unwrap();
        for object in &listed {
            assert!(given == SIZE && object.bytes == SIZE as u64, "round {round}: {object:?} after {given} bytes");
            assert!(read(&disk, &object.key).await == bytes);
            disk.remove(&object.key).await.unwrap();
        }
        whole += listed.len();
        let leftovers = disk.leftovers(None).await.unwrap();
        for leftover in &leftovers {
            assert_eq!(leftover.key.as_str(), "scope/object");
            disk.discard(leftover).await.unwrap();
        }
        left_over += leftovers.len();
        // A writer killed before it made its file leaves at most empty directories, which the next one uses.
        let files = fs::read_dir(root.join("scope")).map_or(0, Iterator::count);
        assert_eq!(files, 0, "round {round}: something is neither listed nor left over");
    }
    assert!(left_over > 0, "no kill came in mid-write; {whole} were whole");
}
