//! Sequences, as one server's catalog shows them.

/// A sequence and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The value it gave out last, or gives out next when it was not called yet.
    pub last_value: i64,
    /// It gave out `last_value`.
    pub is_called: bool,
    /// From one value to the next; never 0, and below 0 when it counts down.
    pub increment: i64,
    /// No value is below this one.
    pub min: i64,
    /// No value is above this one.
    pub max: i64,
    /// It begins again at the other end instead of running out.
    pub cycles: bool,
}
