//! Who listens on a TCP port of this host.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

/// The kernel's tables of sockets (<https://docs.kernel.org/networking/proc_net_tcp.html>).
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// Whether nobody listens on a TCP port. That *we* may not (a port below 1024) does not keep Docker from it.
pub fn is_port_free(bind: IpAddr, port: u16) -> bool {
    TcpListener::bind(SocketAddr::new(bind, port)).map_or_else(|error| error.kind() != ErrorKind::AddrInUse, |_| true)
}

/// The process that keeps others from listening on a TCP port, as `process NAME (pid N)`; `None` when it cannot be told.
pub fn port_holder(bind: IpAddr, port: u16) -> Option<String> {
    let inode = TABLES
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, bind, port))?;
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

/// Whether who listens on one address has what is meant by another: `0.0.0.0` is every address of its kind, and `::`
/// takes those of the other kind too.
pub fn covers(listening: IpAddr, wanted: IpAddr) -> bool {
    let (listening, wanted) = (listening.to_canonical(), wanted.to_canonical());
    match (listening, wanted) {
        _ if listening == wanted => true,
        (IpAddr::V6(at), _) | (_, IpAddr::V6(at)) if at.is_unspecified() => true,
        (IpAddr::V4(at), IpAddr::V4(other)) => at.is_unspecified() || other.is_unspecified(),
        _ => false,
    }
}

/// Finds the socket that listens on this port in the text of a table.
fn listening_inode(table: &str, bind: IpAddr, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = socket_address(fields.get(1)?)?;
        let is_it = at.port() == port && *fields.get(3)? == LISTEN && covers(at.ip(), bind);
        is_it.then(|| fields.get(9)?.parse().ok()).flatten()
    })
}

/// `0100007F:1538`: words of an address as this machine has them in memory, then the port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |index: usize| {
        let word = address.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn names_the_process_that_holds_a_port() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        assert!(!is_port_free(ip("127.0.0.1"), port));
        let holder = port_holder(ip("127.0.0.1"), port).expect("we hold it");
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        assert_eq!(port_holder(ip("127.0.0.2"), port), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_kernels_tables() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let four = format!(
            "{head}   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0\n\
                1: 0100007F:1539 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0\n"
        );
        assert_eq!(listening_inode(&four, ip("127.0.0.1"), 0x1538), Some(4242));
        assert_eq!(listening_inode(&four, ip("0.0.0.0"), 0x1538), Some(4242));
        assert_eq!(listening_inode(&four, ip("127.0.0.2"), 0x1538), None);
        assert_eq!(listening_inode(&four, ip("127.0.0.1"), 0x1539), None);
        let six = format!(
            "{head}   0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A \
             00000000:00000000 00:00000000 00000000     0        0 5151 1 0\n"
        );
        assert_eq!(listening_inode(&six, ip("::1"), 0x1538), Some(5151));
        assert_eq!(listening_inode(&six, ip("127.0.0.1"), 0x1538), None);
    }

    #[test]
    fn an_unspecified_address_covers_every_other_of_its_kind() {
        for (listening, wanted, covered) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("0.0.0.0", "127.0.0.1", true),
            ("127.0.0.1", "0.0.0.0", true),
            ("127.0.0.2", "127.0.0.1", false),
            ("::", "127.0.0.1", true),
            ("::", "::1", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("0.0.0.0", "::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(covers(ip(listening), ip(wanted)), covered, "{listening} {wanted}");
        }
    }
}
