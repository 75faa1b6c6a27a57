//! Reads bodies, one per line, in large blocks and without an allocation per line.

use std::io::{self, Read};

/// The bytes read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// The minimum length of a piece of a line that is passed on in pieces, so that memory stays
/// bounded: it applies to lines of twice that length. It is more if events may be larger.
const PIECE_BYTES_MIN: usize = 32 << 20;

/// The lines of a source, without their line ends. Empty lines are skipped.
///
/// A line far longer than any event comes in pieces. Each piece, including the last one, is longer
/// than any event, so that each is rejected as a whole and none is taken for an event.
pub(super) struct Bodies<R> {
    source: R,
    block: Vec<u8>,
    /// The number of bytes of `block` that hold data.
    filled: usize,
    piece_bytes_min: usize,
}

impl<R: Read> Bodies<R> {
    pub(super) fn new(source: R, event_bytes_max: usize) -> Self {
        // One byte more than an event, and one for the carriage return that is removed from the
        // end.
        Self::with_sizes(source, BLOCK_BYTES, PIECE_BYTES_MIN.max(event_bytes_max + 2))
    }

    fn with_sizes(source: R, block_bytes: usize, piece_bytes_min: usize) -> Self {
        Self { source, block: vec![0; block_bytes], filled: 0, piece_bytes_min }
    }

    fn line_bytes_max(&self) -> usize {
        2 * self.piece_bytes_min
    }

    /// Reads a block and passes every line that ends in it to `take`, until that fails. Returns how
    /// many bytes were read; 0 at the end of the source, after the last line was passed on even if
    /// it has no line end.
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
        if read == 0 {
            take_line(held.get(start..).unwrap_or_default(), &mut take)?;
            start = self.filled;
        } else if self.filled - start >= self.line_bytes_max() {
            // Enough stays to make the last piece long enough, wherever the line ends.
            let end = self.filled - self.piece_bytes_min;
            take(held.get(start..end).unwrap_or_default())?;
            start = end;
        }
        self.block.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(read)
    }

    /// Doubles a block that is full with the start of one line.
    fn make_room(&mut self) {
        if self.filled == self.block.len() {
            let bytes = (self.block.len() * 2).min(self.line_bytes_max().max(self.block.len() + 1));
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

    /// Returns its bytes one at a time, with interruptions in between.
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
    fn no_piece_of_a_line_above_all_bounds_is_small_enough_for_an_event() {
        for length in 20..100 {
            let long = format!("{}\r", "x\r".repeat(length));
            for text in [format!("a\n{long}\nb\n"), format!("a\n{long}")] {
                let lines = lines_of(Bodies::with_sizes(text.as_bytes(), 4, 10));
                let pieces: Vec<_> = lines.into_iter().filter(|line| line.len() > 1).collect();
                assert_eq!(pieces.concat(), long[..long.len() - 1], "a byte is missing");
                assert!(pieces.iter().all(|piece| (9..20).contains(&piece.len())), "{pieces:?}");
            }
        }
    }

    #[test]
    fn an_error_of_the_taker_ends_it() {
        let mut bodies = Bodies::new(&b"one\ntwo\n"[..], 100);
        let mut taken = 0;
        let result = bodies.next_block(|_| {
            taken += 1;
            Err(io::Error::other("enough"))
        });
        assert!(result.is_err());
        assert_eq!(taken, 1);
    }
}
