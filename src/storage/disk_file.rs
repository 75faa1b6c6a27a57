//! An open file that knows its path.

use std::io;
#[cfg(any(feature = "compress", feature = "manifest"))]
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contract::{LockKind, Storage, StorageFile};
use super::error::{DiskError, DiskResult, call};
use super::file_map::FileMap;
use super::metadata::Metadata;

/// The bytes that are read at once when a file is read from start to end.
const BLOCK_BYTES: u64 = 256 << 10;

/// An open file. Every error names its path.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: Box<dyn StorageFile>,
    path: PathBuf,
    storage: Arc<dyn Storage>,
}

impl DiskFile {
    pub(super) fn new(file: Box<dyn StorageFile>, path: &Path, storage: Arc<dyn Storage>) -> Self {
        Self { file, path: path.to_owned(), storage }
    }

    /// The same file, which is now at `path`.
    pub(super) fn renamed(mut self, path: &Path) -> Self {
        self.path = path.to_owned();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes one call on the file.
    fn call<T>(
        &self,
        action: &'static str,
        mut make: impl FnMut(&dyn StorageFile) -> io::Result<T>,
    ) -> DiskResult<T> {
        call(action, &self.path, || make(self.file.as_ref()))
    }

    pub(crate) fn metadata(&self) -> DiskResult<Metadata> {
        self.call("examine", |file| file.metadata())
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> DiskResult<u64> {
        Ok(self.metadata()?.bytes)
    }

    /// Appends as much as the system takes at once, at least a byte; returns how many bytes.
    pub(crate) fn append(&self, bytes: &[u8]) -> DiskResult<usize> {
        self.call("write", |file| some_written(file.append(bytes)?, bytes))
    }

    /// Appends all of it, in as many writes as it takes.
    pub(crate) fn append_all(&self, bytes: &[u8]) -> DiskResult<()> {
        write_all(bytes, |rest| self.append(rest))
    }

    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> DiskResult<()> {
        if self.read_full_at(bytes, offset)? == bytes.len() {
            return Ok(());
        }
        Err(DiskError::new("read", &self.path, io::ErrorKind::UnexpectedEof.into()))
    }

    /// Fills `bytes` as far as the file goes; returns how many bytes.
    fn read_full_at(&self, bytes: &mut [u8], offset: u64) -> DiskResult<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            let (_, rest) = bytes.split_at_mut(filled);
            match self.call("read", |file| file.read_at(rest, offset + filled as u64))? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// The bytes of a range of the file.
    pub(crate) fn read_range(&self, range: Range<u64>) -> DiskResult<Vec<u8>> {
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        self.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    /// Reads a range of the file block by block.
    pub(crate) fn for_each_block(
        &self,
        range: Range<u64>,
        mut take: impl FnMut(&[u8]) -> DiskResult<()>,
    ) -> DiskResult<()> {
        let mut block = vec![0_u8; BLOCK_BYTES.min(range.end.saturating_sub(range.start)) as usize];
        let mut offset = range.start;
        while offset < range.end {
            let step = (range.end - offset).min(BLOCK_BYTES);
            let (bytes, _) = block.split_at_mut(step as usize);
            self.read_exact_at(bytes, offset)?;
            take(bytes)?;
            offset += step;
        }
        Ok(())
    }

    /// The start of the line that contains offset `to`: after the last line feed between `from` and
    /// `to`, or `from` if there is none.
    pub(crate) fn line_start(&self, from: u64, to: u64) -> DiskResult<u64> {
        let mut end = to;
        let mut block = [0_u8; 4096];
        while end > from {
            let step = (end - from).min(block.len() as u64);
            let (bytes, _) = block.split_at_mut(step as usize);
            self.read_exact_at(bytes, end - step)?;
            if let Some(index) = bytes.iter().rposition(|&byte| byte == b'\n') {
                return Ok(end - step + index as u64 + 1);
            }
            end -= step;
        }
        Ok(from)
    }

    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> DiskResult<()> {
        let mut offset = offset;
        write_all(bytes, |rest| {
            let write = |file: &dyn StorageFile| some_written(file.write_at(rest, offset)?, rest);
            let written = self.call("write", write)?;
            offset += written as u64;
            Ok(written)
        })
    }

    pub(crate) fn set_len(&self, bytes: u64) -> DiskResult<()> {
        self.call("shorten", |file| file.set_len(bytes))
    }

    pub(crate) fn sync_data(&self) -> DiskResult<()> {
        self.call("sync", |file| file.sync_data())
    }

    pub(crate) fn sync_all(&self) -> DiskResult<()> {
        self.call("sync", |file| file.sync_all())
    }

    /// Locks the file without waiting; `false` if it is locked.
    pub(crate) fn try_lock(&self, kind: LockKind) -> DiskResult<bool> {
        self.call("lock", |file| file.try_lock(kind))
    }

    /// Releases the lock.
    pub(crate) fn unlock(&self) -> DiskResult<()> {
        self.call("unlock", |file| file.unlock())
    }

    /// Maps the first `bytes` bytes, which are allocated.
    pub(crate) fn map(&self, bytes: usize) -> DiskResult<FileMap> {
        self.call("map", |file| {
            let map = file.map(bytes)?;
            if map.bytes() < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(map) }
        })
    }

    #[cfg(any(feature = "compress", test))]
    pub(crate) fn set_mode(&self, mode: u32) -> DiskResult<()> {
        self.call("set the mode of", |file| file.set_mode(mode))
    }

    #[cfg(any(feature = "compress", test))]
    pub(crate) fn set_modified(&self, time: std::time::SystemTime) -> DiskResult<()> {
        self.call("set the time of", |file| file.set_modified(time))
    }

    /// The first bytes of the file as text.
    pub(crate) fn read_text(&self, bytes_max: usize) -> DiskResult<String> {
        let mut bytes = vec![0; bytes_max];
        let read = self.read_full_at(&mut bytes, 0)?;
        bytes.truncate(read);
        String::from_utf8(bytes)
            .map_err(|_| DiskError::new("read", &self.path, io::ErrorKind::InvalidData.into()))
    }

    /// Makes the file exactly `bytes` bytes of allocated space.
    ///
    /// `set_len` is not enough: a sparse file on a full disk is SIGBUS under a mapping. If a
    /// storage cannot allocate, this writes zeros. After a failure the file is removed, because
    /// ext4 keeps the space that it got.
    pub(crate) fn allocate(&self, bytes: u64) -> DiskResult<()> {
        let allocated = self.allocate_or_write_zeros(bytes);
        if allocated.is_err() {
            // The first error is the one to report; the space is freed if possible.
            let _ = call("remove", &self.path, || self.storage.remove_file(&self.path));
        }
        allocated
    }

    /// Allocates memory for a range of a file on a tmpfs, as [`allocate`](Self::allocate) does for
    /// whole files on a disk. After an error, the caller decides what becomes of the file.
    pub(crate) fn allocate_range(&self, range: Range<u64>) -> DiskResult<()> {
        self.call("allocate memory for", |file| file.allocate(range.clone()))
    }

    fn allocate_or_write_zeros(&self, bytes: u64) -> DiskResult<()> {
        const ACTION: &str = "allocate space for";
        if self.bytes()? != bytes {
            self.call(ACTION, |file| file.set_len(0))?;
        }
        match self.call(ACTION, |file| file.allocate(0..bytes)) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.write_zeros(bytes),
            other => other,
        }
    }

    fn write_zeros(&self, bytes: u64) -> DiskResult<()> {
        let zeros = [0_u8; 1 << 16];
        let mut offset = self.bytes()?;
        while offset < bytes {
            let step = (bytes - offset).min(zeros.len() as u64);
            let (part, _) = zeros.split_at(step as usize);
            self.write_all_at(part, offset)?;
            offset += step;
        }
        Ok(())
    }

    /// An open file that no storage has a path of.
    #[cfg(test)]
    pub(crate) fn without_path(file: std::fs::File) -> Self {
        Self::new(Box::new(file), Path::new("file"), Arc::new(super::FileSystem))
    }

    /// Another descriptor of the same open file, as a forked child has.
    #[cfg(test)]
    pub(crate) fn descriptor_copy(&self) -> std::fs::File {
        let file: &dyn std::any::Any = self.file.as_ref();
        file.downcast_ref::<std::fs::File>().unwrap().try_clone().unwrap()
    }
}

/// `written` of `bytes`; an error if nothing was written though there was something to write.
fn some_written(written: usize, bytes: &[u8]) -> io::Result<usize> {
    if written == 0 && !bytes.is_empty() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(written)
}

/// Writes all of `bytes`: `write` writes some of the rest and returns how much.
pub(crate) fn write_all(
    mut bytes: &[u8],
    mut write: impl FnMut(&[u8]) -> DiskResult<usize>,
) -> DiskResult<()> {
    while !bytes.is_empty() {
        (_, bytes) = bytes.split_at(write(bytes)?);
    }
    Ok(())
}

/// Reads a file from start to end.
#[cfg(any(feature = "compress", feature = "manifest"))]
#[derive(Debug)]
pub(crate) struct DiskReader {
    file: DiskFile,
    offset: u64,
}

#[cfg(any(feature = "compress", feature = "manifest"))]
impl DiskReader {
    pub(crate) fn new(file: DiskFile) -> Self {
        Self { file, offset: 0 }
    }

    #[cfg(feature = "compress")]
    pub(crate) fn file(&self) -> &DiskFile {
        &self.file
    }

    /// Reads from where the last read ended; returns how many bytes, 0 at the end.
    pub(crate) fn read_some(&mut self, bytes: &mut [u8]) -> DiskResult<usize> {
        let read = self.file.call("read", |file| file.read_at(bytes, self.offset))?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(any(feature = "compress", feature = "manifest"))]
impl Read for DiskReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::Disk;

    #[cfg(unix)]
    #[test]
    fn an_allocated_file_has_its_length_and_its_blocks() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let file = Disk::default().open_or_create(&path).unwrap();
        for bytes in [1 << 16, 1 << 17, 1 << 15] {
            file.allocate(bytes).unwrap();
            let metadata = std::fs::metadata(&path).unwrap();
            assert_eq!((file.bytes().unwrap(), metadata.len()), (bytes, bytes));
            assert!(metadata.blocks() * 512 >= bytes, "the file is sparse");
        }
    }

    // Others write zeros until there is no space.
    #[cfg(target_os = "linux")]
    #[test]
    fn space_that_cannot_be_had_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let file = Disk::default().open_or_create(&path).unwrap();
        assert!(file.allocate(i64::MAX as u64).is_err());
        assert!(!path.exists());
    }
}
