//! Streams that GNU tar and the `tar` crate write, cut anywhere.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const WANTED: &[&str] = &["backup_label", "backup_manifest"];

#[derive(Clone, Debug)]
struct Member {
    name: String,
    bytes: Vec<u8>,
    is_pax: bool,
}

fn archive(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(0o600);
        if member.is_pax {
            builder.append_pax_extensions([("comment", b"none".as_slice()), ("path", member.name.as_bytes())]).unwrap();
            header.set_path("cut").unwrap();
            header.set_cksum();
            builder.append(&header, member.bytes.as_slice()).unwrap();
        } else {
            builder.append_data(&mut header, &member.name, member.bytes.as_slice()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// What a watcher gives out when the stream comes in pieces of these sizes, over and over.
fn watched(archive: &[u8], sizes: &[usize]) -> Result<Vec<(String, Vec<u8>)>, TarError> {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    let (mut announced, mut ended) = (Vec::new(), 0);
    let mut watcher = Watcher::new(WANTED);
    let mut rest = archive;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*size).min(rest.len()));
        watcher.push(now, &mut |piece| match piece {
            Piece::Begin { name, bytes } => {
                announced.push(bytes);
                found.push((name.to_owned(), Vec::new()));
            }
            Piece::Bytes(bytes) => found.last_mut().unwrap().1.extend_from_slice(bytes),
            Piece::End => ended += 1,
        })?;
        rest = later;
    }
    watcher.finish()?;
    assert_eq!(ended, found.len());
    assert_eq!(announced, found.iter().map(|(_, bytes)| bytes.len() as u64).collect::<Vec<_>>());
    Ok(found)
}

fn member() -> impl Strategy<Value = Member> {
    let name = prop_oneof![
        Just("backup_label".to_owned()),
        Just("backup_manifest".to_owned()),
        Just("./backup_manifest".to_owned()),
        "[a-z]{1,20}",
        "base/[a-z]{120,300}",
        "base/[a-z]{60,90}/[a-z]{60,90}",
    ];
    let bytes = prop_oneof![vec(any::<u8>(), 0..3), vec(any::<u8>(), 500..1100)];
    (name, bytes, any::<bool>()).prop_map(|(name, bytes, is_pax)| Member { name, bytes, is_pax })
}

proptest! {
    #[test]
    fn gives_out_the_wanted_members_however_the_stream_is_cut(
        members in vec(member(), 0..6),
        sizes in vec(1_usize..2000, 1..8),
    ) {
        let expected: Vec<(String, Vec<u8>)> = members
            .iter()
            .map(|member| (member.name.trim_start_matches("./").to_owned(), member.bytes.clone()))
            .filter(|(name, _)| WANTED.contains(&name.as_str()))
            .collect();
        prop_assert_eq!(watched(&archive(&members), &sizes), Ok(expected));
    }

    #[test]
    fn a_stream_that_ends_early_is_an_error(members in vec(member(), 1..4), part in 0.0_f64..1.0) {
        let archive = archive(&members);
        // Its last two blocks are the zeros at the end.
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cut = ((archive.len() - 2 * BLOCK) as f64 * part) as usize;
        let is_truncated = matches!(watched(&archive[..cut], &[4096]), Err(TarError::Truncated { .. }));
        prop_assert!(is_truncated);
    }

    #[test]
    fn no_stream_makes_it_panic(noise in vec(any::<u8>(), 0..3000), sizes in vec(1_usize..700, 1..4)) {
        let _ = watched(&noise, &sizes);
    }
}

#[test]
fn a_broken_header_is_named_by_its_place() {
    let members = ["a", "b"].map(|name| Member { name: name.into(), bytes: vec![1; 10], is_pax: false });
    let mut archive = archive(&members);
    archive[1024 + 5] ^= 1;
    assert_eq!(watched(&archive, &[100]), Err(TarError::NoHeader { at: 1024 }));
}

#[test]
fn sizes_beyond_eight_gibibytes_are_read() {
    let mut field = [0_u8; 12];
    field[0] = 0x80;
    field[7] = 2;
    assert_eq!(number(&field), Some(2 << 32));
    assert_eq!(number(b"00000001750\0"), Some(1000));
    assert_eq!(number(b"nonsense   \0"), None);
}
