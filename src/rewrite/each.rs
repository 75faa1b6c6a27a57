//! Every implementation that this processor can run, for tests and fuzz targets.

use super::vector::Choice;
use super::{Rejection, rewrite_by};

/// What one implementation makes of a body.
#[derive(Debug)]
pub struct Made {
    /// The implementation.
    pub by: String,
    /// The line, or why there is none.
    pub line: Result<Vec<u8>, Rejection>,
    /// Whether it was left to the portable scan.
    pub is_left: bool,
}

/// What each implementation makes of `body`.
///
/// # Panics
///
/// Where one writes after the room that a line may take.
pub fn rewrite(body: &[u8]) -> Vec<Made> {
    const GUARD: &[u8] = b"guard";
    let make = |choice: Choice| {
        let mut line = [&vec![0; body.len()], GUARD].concat();
        let room = line.get_mut(..body.len()).unwrap_or_default();
        let is_left = choice.rewrite(body, room).is_none();
        let length = rewrite_by(choice, body, room);
        assert!(line.ends_with(GUARD), "{choice:?} wrote after the line");
        let line = length.map(|length| line.get(..length).unwrap_or_default().to_vec());
        Made { by: format!("{choice:?}"), line, is_left }
    };
    Choice::all().map(make).collect()
}
