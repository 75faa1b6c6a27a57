//! Rows until everything was read: in memory if there are few, in a temporary file if there are
//! many.
//!
//! Whether a day is closed, and how wide a column is, is known only at the end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, Write};

use rustix::fs::{Mode, OFlags};

use super::packed::{pack, unpack};
use super::row::Row;

/// The bytes of rows that are kept in memory.
const MEMORY_BYTES_MAX: usize = 8 << 20;

/// The bytes of the length of a row.
const LENGTH_BYTES: usize = size_of::<u32>();

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
    pub(crate) fn push(&mut self, row: &Row<'_>) {
        self.push_with_limit(row, MEMORY_BYTES_MAX);
    }

    fn push_with_limit(&mut self, row: &Row<'_>, bytes_max: usize) {
        if self.error.is_some() {
            return;
        }
        if let Err(error) = self.try_push(row, bytes_max) {
            self.error = Some(error);
        }
    }

    fn try_push(&mut self, row: &Row<'_>, bytes_max: usize) -> io::Result<()> {
        let begin = self.memory.len();
        // The length comes first.
        self.memory.extend([0; LENGTH_BYTES]);
        pack(row, &mut self.memory);
        let length = self.memory.len() - begin - LENGTH_BYTES;
        let length = u32::try_from(length).map_err(io::Error::other)?;
        if let Some(place) = self.memory.get_mut(begin..).and_then(<[u8]>::first_chunk_mut) {
            *place = length.to_le_bytes();
        }
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
        mut take: impl FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        if let Some(file) = &mut self.file {
            file.rewind()?;
            read(BufReader::with_capacity(1 << 18, &*file), &mut take)?;
        }
        read(&*self.memory, &mut take)
    }
}

fn read<E: From<io::Error>>(
    mut rows: impl BufRead,
    take: &mut impl FnMut(Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut row = Vec::new();
    while !rows.fill_buf()?.is_empty() {
        let mut length = [0; LENGTH_BYTES];
        rows.read_exact(&mut length)?;
        row.resize(u32::from_le_bytes(length) as usize, 0);
        rows.read_exact(&mut row)?;
        take(unpack(&row).ok_or_else(|| io::Error::from(ErrorKind::InvalidData))?)?;
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
                        rows.push((row.last, row.session.into_owned()));
                        Ok::<_, io::Error>(())
                    })
                    .unwrap();
                let expected = (0..100).map(|number| (number, "ä\n\"".to_owned()));
                assert!(rows.into_iter().eq(expected));
            }
        }
    }
}
