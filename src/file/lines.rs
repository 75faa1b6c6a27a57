//! Where lines end in a block of bytes.

/// Just after the first line feed in `bytes`: the length of the first line.
#[inline]
pub(crate) fn first_line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|line_feed| line_feed + 1)
}

/// Just after the last line feed in `bytes`: what follows is no whole line.
#[inline]
pub(crate) fn last_line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', bytes).map(|line_feed| line_feed + 1)
}
