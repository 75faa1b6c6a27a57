//! Events that are not accepted: they are given back.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

/// An event was not accepted. The error contains it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The appender was closed or gave up, or one of its threads ended: nothing will be accepted
    /// any more.
    Closed(Bytes),
}

impl SendError {
    /// The event that was not accepted.
    #[must_use]
    pub fn into_event(self) -> Bytes {
        match self {
            Self::Closed(event) => event,
        }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(event) => write!(f, "Closed({} bytes)", event.len()),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the appender is closed")
    }
}

impl Error for SendError {}

/// An event was not accepted without waiting. The error contains it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full now. There may be room later.
    Full(Bytes),
    /// The appender was closed or gave up, or one of its threads ended: nothing will be accepted
    /// any more.
    Closed(Bytes),
}

impl TrySendError {
    /// The event that was not accepted.
    #[must_use]
    pub fn into_event(self) -> Bytes {
        match self {
            Self::Full(event) | Self::Closed(event) => event,
        }
    }

    /// Whether a retry may succeed.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl fmt::Debug for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(event) => write!(f, "Full({} bytes)", event.len()),
            Self::Closed(event) => write!(f, "Closed({} bytes)", event.len()),
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the appender is closed",
        })
    }
}

impl Error for TrySendError {}

/// No room was reserved in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReserveError {
    /// The appender was closed or gave up, or one of its threads ended: nothing will be accepted
    /// any more.
    Closed,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the appender is closed")
    }
}

impl Error for ReserveError {}
