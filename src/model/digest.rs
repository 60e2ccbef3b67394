//! Short digests, to tell at a glance whether two things are made of the same.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The first 64 bits of the SHA-256 of all parts together, in hex: enough to tell specifications apart, no more.
pub fn short(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}
