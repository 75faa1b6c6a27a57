//! The lines of a file in reverse order, read in blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The bytes read at once; more for longer lines.
const BLOCK_BYTES: usize = 256 << 10;

/// A longer line is skipped, as by the reader.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Returns the whole lines of a plain file, the last one first.
pub(super) struct Backwards {
    file: File,
    /// Bytes of the file from `start` on.
    held: Vec<u8>,
    start: u64,
    /// The part of `held` that was not returned yet. It ends with a line, unless bytes are being
    /// skipped.
    end: usize,
    /// Bytes up to the next line feed are skipped: half a line at the end of the file, or a line
    /// that is too long.
    passes_over: bool,
}

/// `end` is now at the start of a line, or of something to skip.
struct LineStart {
    /// A line, and not something to skip.
    is_line: bool,
    /// How far the held bytes have moved.
    moved: usize,
}

impl Backwards {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let start = file.metadata()?.len();
        Ok(Self { file, held: Vec::new(), start, end: 0, passes_over: true })
    }

    /// The start of the line that was returned last, and the end of the last whole line before
    /// that.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.end as u64
    }

    /// Skips half a line at the end of the file.
    pub(super) fn pass_half_line(&mut self) -> io::Result<()> {
        if self.passes_over {
            self.find_line_start()?;
        }
        Ok(())
    }

    /// The previous line, without its line feed.
    pub(super) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let line_end = self.end.saturating_sub(1);
            let Some(found) = self.find_line_start()? else { return Ok(None) };
            if found.is_line {
                return Ok(self.held.get(self.end..line_end + found.moved));
            }
        }
    }

    /// Finds the start of the line that ends at `end`. `None` at the start of the file.
    fn find_line_start(&mut self) -> io::Result<Option<LineStart>> {
        let mut passes_over = std::mem::take(&mut self.passes_over);
        // The line feed of the line itself does not count.
        let mut search_end = if passes_over { self.end } else { self.end.saturating_sub(1) };
        let mut moved = 0;
        loop {
            let searched = self.held.get(..search_end).unwrap_or_default();
            if let Some(found) = memchr::memrchr(b'\n', searched) {
                self.end = found + 1;
                return Ok(Some(LineStart { is_line: !passes_over, moved }));
            }
            if self.start == 0 {
                let is_line = self.end > 0 && !passes_over;
                self.end = 0;
                return Ok(is_line.then_some(LineStart { is_line, moved }));
            }
            passes_over |= self.end > LINE_BYTES_MAX;
            if passes_over {
                self.end = 0;
            }
            search_end = self.read_before()?;
            moved += search_end;
        }
    }

    /// Reads what precedes the held bytes in front of them; returns how much that was.
    fn read_before(&mut self) -> io::Result<usize> {
        let room = self.end.max(BLOCK_BYTES);
        let step = usize::try_from(self.start).map_or(room, |start| start.min(room));
        let mut held = vec![0; step + self.end];
        let (before, after) = held.split_at_mut(step);
        self.start -= step as u64;
        self.file.read_exact_at(before, self.start)?;
        after.copy_from_slice(self.held.get(..self.end).unwrap_or_default());
        self.held = held;
        self.end += step;
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backwards(text: &str) -> Vec<(u64, String)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut backwards = Backwards::new(File::open(file.path()).unwrap()).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = backwards.next_line().unwrap() {
            let line = String::from_utf8(line.to_vec()).unwrap();
            lines.push((backwards.offset(), line));
        }
        lines
    }

    fn forwards(text: &str) -> Vec<(u64, String)> {
        let mut offset = 0;
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            lines.push((offset, line.trim_end_matches('\n').to_owned()));
            offset += line.len() as u64;
        }
        lines.reverse();
        lines
    }

    #[test]
    fn lines_come_the_last_one_first_whatever_their_lengths_are() {
        let long = |count: usize| "x".repeat(count);
        let block = BLOCK_BYTES;
        for text in [
            String::new(),
            "half".to_owned(),
            "\n".to_owned(),
            "\n\n\n".to_owned(),
            "one\ntwo\nhalf".to_owned(),
            format!("a\n{}\nb\n", long(3 * block)),
            format!("{}\n{}\n", long(block - 1), long(block - 1)),
            format!("{}\n{}\n", long(block), long(2 * block)),
            format!("a\n{}", long(3 * block)),
            (0..100_000).map(|number| format!("{number}\n")).collect(),
        ] {
            assert!(backwards(&text) == forwards(&text), "{:.20} {}", text, text.len());
        }
    }
}
