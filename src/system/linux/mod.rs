//! What only Linux has: all promises rest on it.

mod fork_guard;
mod name_socket;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::{Advice, MmapRaw};
use rustix::fs::{FallocateFlags, IFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::rand::GetRandomFlags;

pub(crate) use self::fork_guard::ForkGuard;
pub(crate) use self::name_socket::NameSocket;

/// What does not hold here.
pub(super) const WEAKNESSES: &[&str] = &[];

/// `f_type` of tmpfs: `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Everything else that needs the processor goes first.
const NICENESS: i32 = 10;

/// The boot id of the running kernel: after a reboot, data that was not synced may be gone. Zeros if
/// it is unknown.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    super::unix::uuid(&text)
}

/// Gives the calling thread a low priority.
pub(crate) fn lower_priority() {
    // Raising the niceness is always allowed; if it fails, only the priority is lost.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Fills `bytes` with random ones.
pub(crate) fn random(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// How long a file of this process may be. Above it, `fallocate` would kill the process by SIGXFSZ.
pub(crate) fn file_bytes_max() -> u64 {
    getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

/// How many bytes are free in a directory whose files are in memory; `None` for any other.
pub(crate) fn free_memory_bytes(directory: &Path) -> io::Result<Option<u64>> {
    let info = rustix::fs::statfs(directory)?;
    let is_memory = info.f_type as u64 == TMPFS_MAGIC;
    let free = (info.f_bavail as u64).saturating_mul(info.f_bsize as u64);
    Ok(is_memory.then_some(free))
}

/// Reserves space for a range of a file, by `fallocate(2)`. `posix_fallocate` is not enough: it
/// writes bytes if the file system cannot reserve.
pub(crate) fn allocate(file: &File, range: Range<u64>) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        disable_copy_on_write(file);
    }
    let bytes = range.end.saturating_sub(range.start);
    match rustix::fs::fallocate(file, FallocateFlags::empty(), range.start, bytes) {
        Err(Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
        other => Ok(other?),
    }
}

/// On btrfs, storing into a page again needs a new block, whatever was allocated. Only an empty
/// file can get NOCOW. File systems without the flag do not need it, so its error means nothing.
fn disable_copy_on_write(file: &File) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(file)
        && !flags.contains(IFlags::NOCOW)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags | IFlags::NOCOW);
    }
}

/// Faults in every page of a mapped file for writing: one that cannot be had is an error here, and
/// not a SIGBUS later.
pub(crate) fn populate(map: &MmapRaw) -> io::Result<()> {
    match map.advise(Advice::PopulateWrite) {
        // Kernels before 5.14 do not know the advice: their pages are faulted in by their first
        // use.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Hands what was stored through a mapping to the file, for the sync that follows. On Linux, that
/// sync does it.
#[inline]
pub(crate) fn write_back(_map: &MmapRaw) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_is_known() {
        assert_ne!(boot_id(), [0; 16]);
    }
}
