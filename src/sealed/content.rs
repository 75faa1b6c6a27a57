//! The uncompressed content of a file.

use std::io::{self, Read};
use std::path::Path;

use crate::file::{Decoder, Encoding};
use crate::storage::{Disk, DiskError, DiskReader, DiskResult};

/// The bytes read at once: a close waits for at most one such block.
pub(super) const BLOCK_BYTES: usize = 128 << 10;

/// Reads the content of a file, block by block.
pub(super) struct Content<'a> {
    path: &'a Path,
    decoder: Decoder<DiskReader>,
}

impl<'a> Content<'a> {
    /// `None` if the file does not exist.
    pub(super) fn open(
        disk: &Disk,
        path: &'a Path,
        encoding: Encoding,
    ) -> DiskResult<Option<Self>> {
        let Some(file) = disk.open_reading(path)? else { return Ok(None) };
        let decoder = Decoder::new(DiskReader::new(file), encoding)
            .map_err(|error| DiskError::new("read", path, error))?;
        Ok(Some(Self { path, decoder }))
    }

    /// Fills `block` as far as there is content; returns how many bytes.
    pub(super) fn fill(&mut self, block: &mut [u8]) -> DiskResult<usize> {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.decoder.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DiskError::new("read", self.path, error)),
            }
        }
        Ok(filled)
    }
}

/// Whether this build can read such a file.
#[cfg(feature = "manifest")]
pub(super) const fn can_decode(encoding: Encoding) -> bool {
    cfg!(feature = "compress") || matches!(encoding, Encoding::Plain)
}
