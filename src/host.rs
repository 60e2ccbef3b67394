//! This host, as far as containers are concerned: who listens on a port, how much room is left, who may read a file.
//!
//! Reads `/proc` and `/etc` and tries sockets; changes nothing. Answers are for people, so they are best effort.

pub mod accounts;
mod ports;
pub mod process;

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::model::seen::Seen;
use crate::plan::doctor::facts::{FileSeen, Room};
pub use ports::{covers, is_port_free, port_holder};

/// Size of the file system that holds `path`, and what is left of it for unprivileged users.
pub fn room(path: &Path) -> io::Result<Room> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Room {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// Who may do what with a file or directory.
pub fn access(path: &Path) -> Seen<FileSeen> {
    match fs::metadata(path) {
        Ok(file) => Seen::Present(FileSeen {
            mode: file.permissions().mode() & 0o7777,
            is_ours: file.uid() == rustix::process::geteuid().as_raw(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Absent,
        Err(error) => Seen::unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_the_room_and_reads_the_permissions_of_a_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let room = room(dir.path()).expect("it exists");
        assert!(room.free_bytes <= room.total_bytes && room.total_bytes > 0, "{room:?}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).expect("it is ours");
        assert_eq!(access(dir.path()), Seen::Present(FileSeen { mode: 0o750, is_ours: true }));
        assert_eq!(access(&dir.path().join("none")), Seen::Absent);
    }
}
