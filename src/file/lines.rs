//! Finds line ends in a block of bytes.

/// The length of the first line in `bytes`, including its line feed.
#[inline]
pub(crate) fn first_line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|line_feed| line_feed + 1)
}

/// The offset just after the last line feed in `bytes`; what follows is not a whole line.
#[inline]
pub(crate) fn last_line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', bytes).map(|line_feed| line_feed + 1)
}
