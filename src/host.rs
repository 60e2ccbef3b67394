//! This host, as far as containers are concerned: who listens on a port, and how much room is left.
//!
//! Reads `/proc` and tries sockets; changes nothing. Answers are for people, so they are best effort.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;

/// Whether a TCP port can be listened on.
pub fn is_port_free(bind: IpAddr, port: u16) -> bool {
    match TcpListener::bind(SocketAddr::new(bind, port)) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::AddrNotAvailable,
    }
}

/// The process that listens on a TCP port, as `name (pid N)`; `None` when it cannot be told.
pub fn port_holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let has_socket = fs::read_dir(entry.path().join("fd"))
            .ok()?
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == Path::new(&socket)));
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        has_socket.then(|| format!("process {} (pid {pid})", name.trim()))
    })
}

/// Finds the socket in state LISTEN on this port in the text of `/proc/net/tcp`
/// (<https://docs.kernel.org/networking/proc_net_tcp.html>).
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local_port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
        (local_port == port && *fields.get(3)? == LISTEN).then(|| fields.get(9)?.parse().ok()).flatten()
    })
}

/// Bytes available to unprivileged users on the file system that holds `path`.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_process_that_holds_a_port() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        assert!(!is_port_free("127.0.0.1".parse().expect("an address"), port));
        let holder = port_holder(port).expect("we hold it");
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    }

    #[test]
    fn reads_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0\n\
             1: 0100007F:1539 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0\n";
        assert_eq!(listening_inode(table, 0x1538), Some(4242));
        assert_eq!(listening_inode(table, 0x1539), None);
    }
}
