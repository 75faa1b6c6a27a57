//! Rows until everything was read: in memory if there are few, in a temporary file if there are
//! many.
//!
//! Whether a day is closed, and how wide a column is, is known only at the end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Seek, Write};

use rustix::fs::{Mode, OFlags};

use super::row::Row;

/// The bytes of rows that are kept in memory.
const MEMORY_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Default)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    /// Everything that did not fit, in the order in which it came.
    file: Option<File>,
    /// The first error. What came after it is lost.
    error: Option<io::Error>,
}

impl Spool {
    /// Adds a row. An error is reported by [`Spool::rows`].
    pub(crate) fn push(&mut self, row: &Row) {
        self.push_with_limit(row, MEMORY_BYTES_MAX);
    }

    fn push_with_limit(&mut self, row: &Row, bytes_max: usize) {
        if self.error.is_some() {
            return;
        }
        if let Err(error) = self.try_push(row, bytes_max) {
            self.error = Some(error);
        }
    }

    fn try_push(&mut self, row: &Row, bytes_max: usize) -> io::Result<()> {
        serde_json::to_writer(&mut self.memory, row)?;
        self.memory.push(b'\n');
        if self.memory.len() < bytes_max {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(temporary_file()?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    /// Hands over all rows, from the first one.
    ///
    /// # Errors
    ///
    /// The rows could not be kept, or `take` failed.
    pub(crate) fn rows<E: From<io::Error>>(
        &mut self,
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if let Some(file) = &mut self.file {
            file.rewind()?;
            read(BufReader::with_capacity(1 << 18, &*file), &mut take)?;
        }
        read(Cursor::new(&self.memory), &mut take)
    }
}

fn read<E: From<io::Error>>(
    mut lines: impl BufRead,
    take: &mut impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        take(serde_json::from_slice(&line).map_err(io::Error::from)?)?;
        line.clear();
    }
    Ok(())
}

/// A file without a name, which is gone when the program ends.
fn temporary_file() -> io::Result<File> {
    let directory = std::env::temp_dir();
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(&directory, flags, Mode::RUSR | Mode::WUSR);
    file.map(File::from).map_err(|error| {
        let directory = directory.display();
        let error = io::Error::from(error);
        let text = format!("cannot create a temporary file in {directory} (TMPDIR): {error}");
        io::Error::new(error.kind(), text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_their_order_whether_they_fit_into_memory_or_not() {
        for bytes_max in [1, 5000, usize::MAX] {
            let mut spool = Spool::default();
            let row =
                |number: i64| Row { last: number, session: "ä\n\"".into(), ..Row::default() };
            (0..100).for_each(|number| spool.push_with_limit(&row(number), bytes_max));
            assert_eq!(spool.file.is_some(), bytes_max < usize::MAX);
            // Twice: once for the widths of columns, once to print.
            for _ in 0..2 {
                let mut rows = Vec::new();
                spool
                    .rows(|row| {
                        rows.push(row);
                        Ok::<_, io::Error>(())
                    })
                    .unwrap();
                assert_eq!(rows, (0..100).map(row).collect::<Vec<_>>());
            }
        }
    }
}
