//! An open file that knows its path.

use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, IFlags};

use super::disk::{Disk, DiskResult};

/// How much is read at once where a file is read from one end to the other.
const BLOCK_BYTES: u64 = 256 << 10;

/// An open file. Every call names it in its error.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl DiskFile {
    pub(super) fn new(file: File, path: &Path, disk: Disk) -> Self {
        Self { file, path: path.to_owned(), disk }
    }

    /// The same file, which is at `path` now.
    pub(super) fn renamed(mut self, path: &Path) -> Self {
        self.path = path.to_owned();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Makes one call on the file.
    pub(crate) fn call<T>(
        &self,
        action: &'static str,
        mut call: impl FnMut(&File) -> io::Result<T>,
    ) -> DiskResult<T> {
        self.disk.call(action, &self.path, || call(&self.file))
    }

    pub(crate) fn metadata(&self) -> DiskResult<Metadata> {
        self.call("examine", File::metadata)
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> DiskResult<u64> {
        Ok(self.metadata()?.len())
    }

    /// Appends as much as the system takes at once, at least a byte; gives how much that was.
    pub(crate) fn append(&self, bytes: &[u8]) -> DiskResult<usize> {
        if self.disk.is_dry_run() {
            return Ok(bytes.len());
        }
        self.call("write", |mut file| match file.write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            other => other,
        })
    }

    /// Reads on from where the last read ended; gives how much that was, 0 at the end.
    #[cfg(any(feature = "compress", feature = "manifest"))]
    pub(crate) fn read(&self, bytes: &mut [u8]) -> DiskResult<usize> {
        self.call("read", |mut file| file.read(bytes))
    }

    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> DiskResult<()> {
        self.call("read", |file| file.read_exact_at(bytes, offset))
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
            let bytes = block.get_mut(..step as usize).unwrap_or_default();
            self.read_exact_at(bytes, offset)?;
            take(bytes)?;
            offset += step;
        }
        Ok(())
    }

    /// Where the line begins that offset `to` is in: after the last line feed between `from` and
    /// `to`; at `from` where there is none.
    pub(crate) fn line_start(&self, from: u64, to: u64) -> DiskResult<u64> {
        let mut end = to;
        let mut block = [0_u8; 4096];
        while end > from {
            let step = (end - from).min(block.len() as u64);
            let bytes = block.get_mut(..step as usize).unwrap_or_default();
            self.read_exact_at(bytes, end - step)?;
            if let Some(index) = bytes.iter().rposition(|&byte| byte == b'\n') {
                return Ok(end - step + index as u64 + 1);
            }
            end -= step;
        }
        Ok(from)
    }

    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> DiskResult<()> {
        self.call("write", |file| file.write_all_at(bytes, offset))
    }

    pub(crate) fn set_len(&self, bytes: u64) -> DiskResult<()> {
        if self.disk.is_dry_run() {
            return Ok(());
        }
        self.call("shorten", |file| file.set_len(bytes))
    }

    pub(crate) fn sync_data(&self) -> DiskResult<()> {
        if self.disk.is_dry_run() {
            return Ok(());
        }
        self.call("sync", File::sync_data)
    }

    pub(crate) fn sync_all(&self) -> DiskResult<()> {
        self.call("sync", File::sync_all)
    }

    /// Takes the lock of the file, at once or not at all.
    pub(crate) fn try_lock(&self) -> DiskResult<bool> {
        self.call("lock", |file| taken(file.try_lock()))
    }

    /// Takes the lock together with others who only look, at once or not at all.
    pub(crate) fn try_lock_shared(&self) -> DiskResult<bool> {
        self.call("lock", |file| taken(file.try_lock_shared()))
    }

    /// Gives the lock back.
    pub(crate) fn unlock(&self) -> DiskResult<()> {
        self.call("unlock", File::unlock)
    }

    /// The first bytes of the file as text.
    pub(crate) fn read_text(&self, bytes_max: u64) -> DiskResult<String> {
        self.call("read", |mut file| {
            let mut text = String::new();
            file.rewind()?;
            file.take(bytes_max).read_to_string(&mut text)?;
            Ok(text)
        })
    }

    /// Gives the file exactly `bytes` bytes of allocated space.
    ///
    /// `set_len` would not do: a sparse file on a full disk is SIGBUS under a mapping. Nor would
    /// `posix_fallocate`, which writes the bytes where the file system cannot allocate. A file
    /// system without `fallocate` gets zeros written here, knowingly. After a failure the file is
    /// unlinked, because ext4 keeps the space that it got.
    pub(crate) fn allocate(&self, bytes: u64) -> DiskResult<()> {
        let allocated =
            self.call("allocate space for", |file| allocate_or_write_zeros(file, bytes));
        if allocated.is_err() {
            // The first error is the one to report; the space is given back as far as it can be.
            let _ = self.disk.remove(&self.path);
        }
        allocated
    }
}

fn taken(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn allocate_or_write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() != bytes {
        file.set_len(0)?;
        disable_copy_on_write(file);
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(file, bytes),
        Err(error) => Err(error.into()),
    }
}

fn write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = [0_u8; 1 << 16];
    let mut offset = file.metadata()?.len();
    while offset < bytes {
        let step = usize::try_from(bytes - offset).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(zeros.get(..step).unwrap_or_default(), offset)?;
        offset += step as u64;
    }
    Ok(())
}

/// On btrfs a page that is stored into again needs a new block, whatever was allocated. Only an
/// empty file can be told otherwise. File systems that do not know the flag do not need it, so its
/// error means nothing.
fn disable_copy_on_write(file: &File) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(file)
        && !flags.contains(IFlags::NOCOW)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags | IFlags::NOCOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocated_file_has_its_length_and_its_blocks() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let file = Disk::default().open_or_create(&directory.path().join("segment")).unwrap();
        for bytes in [1 << 16, 1 << 17, 1 << 15] {
            file.allocate(bytes).unwrap();
            let metadata = file.metadata().unwrap();
            assert_eq!(metadata.len(), bytes);
            assert!(metadata.blocks() * 512 >= bytes, "the file is sparse");
        }
    }

    #[test]
    fn space_that_cannot_be_had_leaves_no_file_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let file = Disk::default().open_or_create(&path).unwrap();
        assert!(file.allocate(i64::MAX as u64).is_err());
        assert!(!path.exists());
    }
}
