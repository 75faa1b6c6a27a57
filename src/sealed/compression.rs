//! Compresses sealed files.
//!
//! The compressed file is written in the state directory, where nobody looks for CDR files, synced,
//! and then renamed to its place next to the plain one. The plain file is removed last, and only
//! after the compressed one was read back and found to have the same content. If this is
//! interrupted before the rename, it starts over; after the rename, both files exist and only the
//! comparison is repeated.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::content::{BLOCK_BYTES, Content};
use super::directory::Found;
use super::requests::MaintenanceRequests;
use super::step::{Halt, Step};
use crate::error::MaintenanceError;
use crate::file::{Encoding, STATE_DIR_NAME};
use crate::storage::{Disk, DiskError, DiskFile, DiskReader, DiskResult};

/// How sealed files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not compressed. The default.
    #[default]
    None,
    /// zstd at its default level 3, with a checksum: `.log.zst`.
    Zstd,
    /// gzip at its default level 6: `.log.gz`. Slower and larger than zstd.
    Gzip,
}

impl Compression {
    const fn encoding(self) -> Encoding {
        match self {
            Self::None => Encoding::Plain,
            Self::Zstd => Encoding::Zstd,
            Self::Gzip => Encoding::Gzip,
        }
    }
}

/// The default levels of the command line tools.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 6;

/// The bytes written between two syncs: a close waits for at most one of them.
const UNSYNCED_BYTES_MAX: u64 = 8 << 20;

/// Compresses the files of one directory.
#[derive(Debug)]
pub(super) struct Compressor {
    disk: Disk,
    /// The file that is being written.
    unfinished: PathBuf,
    compression: Compression,
    /// Compressed files whose sync failed, with the error. The sync is not retried, because a retry
    /// may succeed although the content is gone, and the plain file would then be removed.
    unsafe_files: HashMap<PathBuf, MaintenanceError>,
}

impl Compressor {
    pub(super) fn new(disk: &Disk, directory: &Path, compression: Compression) -> Self {
        let unfinished = directory.join(STATE_DIR_NAME).join("compressing");
        Self { disk: disk.clone(), unfinished, compression, unsafe_files: HashMap::new() }
    }

    /// Removes what an earlier process left incomplete.
    pub(super) fn clean_up(&self) -> DiskResult<()> {
        self.disk.remove(&self.unfinished)
    }

    /// Replaces a sealed file by its compressed form; returns whether there was anything to do.
    /// `all` is everything in the directory, none of which is overwritten.
    pub(super) fn compress(
        &mut self,
        plain: &Found,
        all: &[Found],
        requests: &MaintenanceRequests,
    ) -> Step<bool> {
        if plain.name.encoding != Encoding::Plain {
            return Ok(false);
        }
        let is_of_it = |file: &&Found| {
            file.name.encoding != Encoding::Plain && file.plain_name == plain.plain_name
        };
        if let Some(compressed) = all.iter().find(is_of_it) {
            self.replace(&plain.path, &compressed.path, compressed.name.encoding, requests)?;
            return Ok(true);
        }
        // Compressing an empty file gains nothing.
        if self.compression == Compression::None || plain.bytes == 0 {
            return Ok(false);
        }
        let encoding = self.compression.encoding();
        let mut compressed = plain.path.clone().into_os_string();
        compressed.push(encoding.suffix());
        let compressed = PathBuf::from(compressed);
        match self.make(&plain.path, &compressed, requests) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(halt) => {
                // Report the first error. What stays is removed before the next attempt.
                let _ = self.clean_up();
                return Err(halt);
            }
        }
        self.replace(&plain.path, &compressed, encoding, requests)?;
        Ok(true)
    }

    /// Writes the compressed file, complete and synced; `false` if the plain one is gone.
    fn make(&self, plain: &Path, compressed: &Path, requests: &MaintenanceRequests) -> Step<bool> {
        self.clean_up()?;
        let Some(source) = self.disk.open_reading(plain)? else { return Ok(false) };
        let before = source.metadata()?;
        let mut source = DiskReader::new(source);
        let target = self.disk.create_appending(&self.unfinished)?;
        self.encode(&mut source, &target, requests)?;
        let after = source.file().metadata()?;
        if (before.bytes, before.modified) != (after.bytes, after.modified) {
            return Err(Halt::Failed(MaintenanceError::Changed { path: plain.to_owned() }));
        }
        target.set_mode(after.mode)?;
        if let Some(modified) = after.modified {
            // Its age is that of its last line.
            target.set_modified(modified)?;
        }
        target.sync_all()?;
        // What has this name is not a regular file, or was created just now: it is not ours.
        if self.disk.examine(compressed)?.is_some() {
            let (plain, compressed) = (plain.to_owned(), compressed.to_owned());
            return Err(Halt::Failed(MaintenanceError::Differs { plain, compressed }));
        }
        self.disk.rename(&self.unfinished, compressed)?;
        Ok(true)
    }

    fn encode(
        &self,
        source: &mut DiskReader,
        target: &DiskFile,
        requests: &MaintenanceRequests,
    ) -> Step<()> {
        let failed = |error| DiskError::new("write", &self.unfinished, error);
        let writer = Writer { file: target, unsynced: 0 };
        let mut encoder = Encoder::new(self.compression, writer).map_err(failed)?;
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            if requests.is_stopping() {
                return Err(Halt::Stopped);
            }
            let read = source.read_some(&mut block)?;
            if read == 0 {
                return Ok(encoder.finish().map_err(failed)?);
            }
            encoder.write_all(block.get(..read).unwrap_or_default()).map_err(failed)?;
        }
    }

    /// Removes the plain file once the compressed one is synced and was found to have the same
    /// content.
    fn replace(
        &mut self,
        plain: &Path,
        compressed: &Path,
        encoding: Encoding,
        requests: &MaintenanceRequests,
    ) -> Step<()> {
        if let Some(failure) = self.unsafe_files.get(compressed) {
            return Err(Halt::Failed(failure.clone()));
        }
        let disk = &self.disk;
        let (Some(one), Some(other)) = (
            Content::open(disk, plain, Encoding::Plain)?,
            Content::open(disk, compressed, encoding)?,
        ) else {
            return Ok(());
        };
        if !is_same(one, other, requests)? {
            let (plain, compressed) = (plain.to_owned(), compressed.to_owned());
            return Err(Halt::Failed(MaintenanceError::Differs { plain, compressed }));
        }
        let Some(file) = disk.open_reading(compressed)? else { return Ok(()) };
        let synced = file.sync_all().and_then(|()| match compressed.parent() {
            Some(directory) => disk.sync_directory(directory),
            None => Ok(()),
        });
        if let Err(error) = synced {
            let failure = MaintenanceError::sync(error);
            self.unsafe_files.insert(compressed.to_owned(), failure.clone());
            return Err(Halt::Failed(failure));
        }
        Ok(disk.remove(plain)?)
    }
}

fn is_same(
    mut one: Content<'_>,
    mut other: Content<'_>,
    requests: &MaintenanceRequests,
) -> Step<bool> {
    let (mut block, mut other_block) = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
    loop {
        if requests.is_stopping() {
            return Err(Halt::Stopped);
        }
        let read = one.fill(&mut block)?;
        let other_read = other.fill(&mut other_block)?;
        if block.get(..read) != other_block.get(..other_read) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Appends to a file and syncs it from time to time.
#[derive(Debug)]
struct Writer<'a> {
    file: &'a DiskFile,
    unsynced: u64,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.append(bytes)?;
        self.unsynced += written as u64;
        if self.unsynced >= UNSYNCED_BYTES_MAX {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Encoder<'a> {
    Zstd(zstd::stream::write::Encoder<'static, Writer<'a>>),
    Gzip(flate2::write::GzEncoder<Writer<'a>>),
}

impl<'a> Encoder<'a> {
    fn new(compression: Compression, writer: Writer<'a>) -> io::Result<Self> {
        if compression == Compression::Gzip {
            let level = flate2::Compression::new(GZIP_LEVEL);
            return Ok(Self::Gzip(flate2::write::GzEncoder::new(writer, level)));
        }
        let mut encoder = zstd::stream::write::Encoder::new(writer, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self::Zstd(encoder))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.finish().map(drop),
            Self::Gzip(encoder) => encoder.finish().map(drop),
        }
    }
}
