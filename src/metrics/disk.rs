//! From what `stat` says of a file system to its size and what is free. Pure.

use super::families::Sample;
use super::names;

/// The value of the label `collector`.
pub const DISK: &str = "disk";

/// What is run, with the directory behind it: the size of a block, how many there are, and how many an ordinary user may still use.
/// coreutils and BusyBox know the same three.
pub const COMMAND: [&str; 4] = ["stat", "-f", "-c", "%S %b %a"];

/// It said something else.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not three numbers")]
pub struct UnknownRoom(String);

/// The samples of a node.
///
/// # Errors
/// The text is not what was asked for.
#[allow(clippy::cast_precision_loss)] // exact up to 9 PB
pub fn read(node: &str, text: &str) -> Result<Vec<Sample>, UnknownRoom> {
    let numbers = || {
        let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let [block, all, free] = numbers[..] else { return None };
        Some((block.checked_mul(all)?, block.checked_mul(free)?))
    };
    let (size, free) = numbers().ok_or_else(|| UnknownRoom(text.trim().to_owned()))?;
    let sample = |metric, bytes: u64| Sample::new(metric, [node.to_owned()], bytes as f64);
    Ok(vec![sample(names::DISK_SIZE_BYTES, size), sample(names::DISK_FREE_BYTES, free)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_are_bytes_and_anything_else_is_an_error() {
        let told = read("a", "4096 1000 250\n").expect("three numbers");
        assert_eq!(told.iter().map(|sample| sample.value).collect::<Vec<_>>(), [4_096_000.0, 1_024_000.0]);
        for odd in ["", "4096 1000", "4096 1000 -1", "4096 1000 250 3", "stat: cannot read", "18446744073709551615 2 1"]
        {
            assert!(read("a", odd).is_err(), "{odd}");
        }
    }
}
