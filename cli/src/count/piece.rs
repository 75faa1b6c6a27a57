//! Some lines of an input.

use cdrlog::reader::Lines;

/// Lines, and the position of the first of them in their input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) lines: Lines<'a>,
    pub(crate) position: u64,
}
