//! The last lines of a long output, for an error message.
//!
//! In: lines. Out: at most [`KEPT`] of them. Never holds a whole build log.

use std::collections::VecDeque;
use std::fmt;

/// How many lines are kept: enough for apt's complaint and the command that caused it.
const KEPT: usize = 12;

/// The last lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail(VecDeque<String>);

impl Tail {
    /// Takes one more line; blank ones are dropped.
    pub fn push(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line.to_owned());
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("  (nothing)");
        }
        for (row, line) in self.0.iter().enumerate() {
            if row > 0 {
                f.write_str("\n")?;
            }
            write!(f, "  {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_and_drops_blank_ones() {
        let mut tail = Tail::default();
        assert_eq!(tail.to_string(), "  (nothing)");
        for number in 0..100 {
            tail.push(&format!("line {number}\n"));
            tail.push("  \n");
        }
        let text = tail.to_string();
        assert_eq!(text.lines().count(), KEPT);
        assert!(text.ends_with("  line 99"), "{text}");
    }
}
