//! Reads bodies, one a line, in large blocks and without an allocation a line.

use std::io::{self, Read};

/// What is read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// A line that is longer than this is handed on in pieces of this size, so that memory stays bounded. Each piece is far
/// above any event, so they are rejected, whole, one by one.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The lines of a source, without their line ends. Empty lines are left out.
pub(super) struct Bodies<R> {
    source: R,
    block: Vec<u8>,
    /// Bytes of `block` that hold something.
    filled: usize,
    line_bytes_max: usize,
}

impl<R: Read> Bodies<R> {
    pub(super) fn new(source: R) -> Self {
        Self::with_sizes(source, BLOCK_BYTES, LINE_BYTES_MAX)
    }

    fn with_sizes(source: R, block_bytes: usize, line_bytes_max: usize) -> Self {
        Self { source, block: vec![0; block_bytes], filled: 0, line_bytes_max }
    }

    /// Reads a block and hands every line that ends in it to `take`, until that fails. Gives how many bytes were read;
    /// 0 at the end of the source, after the last line was handed on even if nothing ends it.
    pub(super) fn next_block<E: From<io::Error>>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.make_room();
        let read = loop {
            match self.source.read(self.block.get_mut(self.filled..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let searched = self.filled;
        self.filled += read;
        let held = self.block.get(..self.filled).unwrap_or_default();
        let mut start = 0;
        for found in memchr::memchr_iter(b'\n', held.get(searched..).unwrap_or_default()) {
            let end = searched + found;
            take_line(held.get(start..end).unwrap_or_default(), &mut take)?;
            start = end + 1;
        }
        if read == 0 || self.filled - start >= self.line_bytes_max {
            take_line(held.get(start..).unwrap_or_default(), &mut take)?;
            start = self.filled;
        }
        self.block.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(read)
    }

    /// Doubles a block that is full of the beginning of one line.
    fn make_room(&mut self) {
        if self.filled == self.block.len() {
            let bytes = (self.block.len() * 2).min(self.line_bytes_max.max(self.block.len() + 1));
            self.block.resize(bytes, 0);
        }
    }
}

fn take_line<E>(line: &[u8], take: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() { Ok(()) } else { take(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one at a time, with interruptions between.
    struct Trickle<'a>(&'a [u8], bool);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let step = buffer.len().min(1);
            self.0.read(&mut buffer[..step])
        }
    }

    fn lines_of(mut bodies: Bodies<impl Read>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut take = |line: &[u8]| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            io::Result::Ok(())
        };
        while bodies.next_block(&mut take).unwrap() > 0 {}
        lines
    }

    #[test]
    fn lines_come_out_whole_whatever_the_blocks_and_the_line_ends_are() {
        let text = b"one\n\ntwo\r\n\r\nthree three three three\nfour\rfour\nlast";
        let expected = ["one", "two", "three three three three", "four\rfour", "last"];
        for block_bytes in 1..60 {
            assert_eq!(lines_of(Bodies::with_sizes(&text[..], block_bytes, 1000)), expected);
            assert_eq!(
                lines_of(Bodies::with_sizes(Trickle(text, false), block_bytes, 1000)),
                expected
            );
        }
    }

    #[test]
    fn a_line_above_all_bounds_comes_in_pieces() {
        let text = format!("a\n{}\nb\n", "x".repeat(25));
        let lines = lines_of(Bodies::with_sizes(text.as_bytes(), 4, 10));
        assert_eq!(lines.concat(), format!("a{}b", "x".repeat(25)));
        assert!(lines.iter().all(|line| line.len() <= 10));
    }

    #[test]
    fn an_error_of_the_taker_ends_it() {
        let mut bodies = Bodies::new(&b"one\ntwo\n"[..]);
        let mut taken = 0;
        let result = bodies.next_block(|_| {
            taken += 1;
            Err(io::Error::other("enough"))
        });
        assert!(result.is_err());
        assert_eq!(taken, 1);
    }
}
