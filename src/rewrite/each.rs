//! Every implementation that this processor can run, for tests and fuzz targets.

use super::Rejection;
use super::dispatch::Implementation;
use crate::vector::Arrays;

/// What one implementation makes of a body.
#[derive(Debug)]
pub struct Made {
    /// The implementation.
    pub by: &'static str,
    /// The line, or why there is none.
    pub line: Result<Vec<u8>, Rejection>,
    /// Whether the implementation left the body to the portable scan.
    pub is_left: bool,
}

impl Made {
    /// What `implementation` makes of `body`.
    ///
    /// # Panics
    ///
    /// If it writes beyond the room that a line may take.
    pub(super) fn of(implementation: Implementation, body: &[u8]) -> Self {
        const GUARD: &[u8] = b"guard";
        let by = implementation.name();
        let mut buffer = [&vec![0; body.len()], GUARD].concat();
        let (room, guard) = buffer.split_at_mut(body.len());
        let is_left = implementation.rewrite_fast(body, room).is_none();
        let length = implementation.rewrite(body, room);
        assert!(guard == GUARD, "{by} wrote after the line");
        let line = length.map(|length| room.split_at(length).0.to_vec());
        Self { by, line, is_left }
    }
}

/// All implementations that can run here, and the one of plain arrays, which nobody else uses.
pub(super) fn all() -> impl Iterator<Item = Implementation> {
    Implementation::all().chain([Implementation::Arrays(Arrays)])
}

/// What each implementation makes of `body`.
///
/// # Panics
///
/// If one writes beyond the room that a line may take.
#[cfg(fuzzing)]
pub fn rewrite(body: &[u8]) -> Vec<Made> {
    all().map(|implementation| Made::of(implementation, body)).collect()
}
