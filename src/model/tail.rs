//! The last bytes of an output of any length.

use std::fmt;

/// The last so many bytes of what was pushed.
#[derive(Clone, PartialEq, Eq)]
pub struct Tail {
    kept: Vec<u8>,
    most: usize,
    is_cut: bool,
}

impl Default for Tail {
    fn default() -> Self {
        Self::new(Self::USUAL)
    }
}

impl Tail {
    /// Enough for what a program says when it fails.
    pub const USUAL: usize = 8 * 1024;

    /// Keeps at most `most` bytes.
    pub const fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most, is_cut: false }
    }

    /// Takes more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        // Seldom, so that each byte is moved about once.
        if self.kept.len() > 2 * self.most {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > self.most {
            self.kept.drain(..self.kept.len() - self.most);
            self.is_cut = true;
        }
    }

    /// Something came before what is kept.
    pub fn is_cut(&self) -> bool {
        self.is_cut || self.kept.len() > self.most
    }

    /// As text, without blanks around it.
    pub fn text(&self) -> String {
        let kept = &self.kept[self.kept.len().saturating_sub(self.most)..];
        String::from_utf8_lossy(kept).trim().to_owned()
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({:?})", self.text())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_the_last_bytes_and_says_when_there_were_more(
            parts in proptest::collection::vec("[a-z]{0,9}", 0..20), most in 1_usize..30,
        ) {
            let mut tail = Tail::new(most);
            for part in &parts {
                tail.push(part.as_bytes());
            }
            let all = parts.concat();
            prop_assert_eq!(tail.text(), &all[all.len().saturating_sub(most)..]);
            prop_assert_eq!(tail.is_cut(), all.len() > most);
        }
    }
}
