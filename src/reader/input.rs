//! The uncompressed bytes of one file.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::ReadError;
use super::listing::with_encoding;
use crate::file::{Decoder, Encoding};
use crate::system::read_exact_at;

/// An open file.
pub(super) struct Input {
    decoder: Decoder<File>,
    encoding: Encoding,
}

impl Input {
    /// Opens the file whose uncompressed name is `path`, in the first of `encodings` that exists.
    /// `None` if none does.
    pub(super) fn find(path: &Path, encodings: &[Encoding]) -> Result<Option<Self>, ReadError> {
        for &encoding in encodings {
            let path = with_encoding(path, encoding);
            match Self::open(&path, encoding) {
                Ok(input) => return Ok(Some(input)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ReadError::io("open", &path, error)),
            }
        }
        Ok(None)
    }

    fn open(path: &Path, encoding: Encoding) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { decoder: Decoder::new(file, encoding)?, encoding })
    }

    /// Reads more; 0 at the end.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.decoder.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    pub(super) const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The file, if it is not compressed: only such a file may grow.
    pub(super) const fn plain(&self) -> Option<&File> {
        match &self.decoder {
            Decoder::Plain(file) => Some(file),
            Decoder::Zstd(_) | Decoder::Gzip(_) => None,
        }
    }

    /// The metadata of a file that is not compressed.
    pub(super) fn metadata(&self) -> io::Result<Option<Metadata>> {
        self.plain().map(File::metadata).transpose()
    }

    /// Reads from `offset`, if the file is not compressed.
    pub(super) fn seek_plain(&self, offset: u64) -> io::Result<()> {
        match self.plain() {
            Some(mut file) => file.seek(SeekFrom::Start(offset)).map(drop),
            None => Ok(()),
        }
    }

    /// Skips to `offset`. Returns how far it got: less if the file ends before.
    pub(super) fn skip_to(&mut self, offset: u64, scratch: &mut [u8]) -> io::Result<Skipped> {
        if let Some(file) = self.plain() {
            return skip_in_plain(file, offset);
        }
        let (mut at, mut last) = (0, None);
        while at < offset {
            let step = scratch.len().min(usize::try_from(offset - at).unwrap_or(usize::MAX));
            let read = self.read(scratch.split_at_mut(step).0)?;
            if read == 0 {
                break;
            }
            at += read as u64;
            last = scratch.get(read - 1).copied();
        }
        Ok(Skipped { bytes: at, last })
    }
}

/// How far a skip got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) bytes: u64,
    /// The last byte before it.
    pub(super) last: Option<u8>,
}

fn skip_in_plain(mut file: &File, offset: u64) -> io::Result<Skipped> {
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() < offset {
        return Ok(Skipped { bytes: metadata.len(), last: None });
    }
    let mut last = None;
    if let Some(before) = offset.checked_sub(1) {
        let mut byte = [0];
        read_exact_at(file, &mut byte, before)?;
        last = Some(byte[0]);
        file.seek(SeekFrom::Start(offset))?;
    }
    Ok(Skipped { bytes: offset, last })
}
