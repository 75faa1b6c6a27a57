//! Tests that need to stand between cdrlog and the disk.

mod abort;
mod accepted;
mod accepted_beside;
#[cfg(all(feature = "compress", feature = "manifest"))]
mod account;
#[path = "../../tests/support/boot.rs"]
mod boot;
mod close_keeping;
#[path = "../../tests/support/copy.rs"]
mod copy;
mod dead_thread;
mod failed_sync;
mod failing;
mod foreign_inbox;
mod interrupted;
mod io_error;
#[cfg(loom)]
mod loom;
#[cfg(loom)]
mod loom_gate;
#[cfg(loom)]
mod loom_waker;
mod lossy_disk;
#[cfg(all(feature = "compress", feature = "manifest"))]
mod maintenance;
mod meanwhile;
mod midnight;
#[path = "../../tests/support/mount.rs"]
#[expect(unsafe_code, dead_code, reason = "shared with the tests of the public interface")]
mod mount;
mod notices;
mod power_loss;
#[cfg(all(feature = "compress", feature = "manifest"))]
mod power_loss_maintenance;
mod senders;
#[path = "../../tests/support/skip.rs"]
mod skip;
pub(crate) mod step;
#[cfg(feature = "synced")]
mod synced;
mod unusable_inbox;

use skip::skip;

/// More than all tests that run at one time take.
const MEMORY_BYTES_MIN: u64 = 512 << 20;

/// A directory in memory where there is room for one, because these tests make thousands of syncs.
/// In a container there often is not: 64 MB, or none.
fn memory_directory() -> tempfile::TempDir {
    let has_room = rustix::fs::statvfs("/dev/shm")
        .is_ok_and(|room| room.f_bavail.saturating_mul(room.f_frsize) >= MEMORY_BYTES_MIN);
    let in_memory = has_room.then(|| tempfile::tempdir_in("/dev/shm").ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// All files of a directory whose names begin with `prefix`, one after the other.
fn text_of(directory: &std::path::Path, prefix: &str) -> String {
    let mut names = crate::storage::Disk::default().names(directory).unwrap();
    names.retain(|name| name.starts_with(prefix) && !name.contains(".torn"));
    names.sort();
    names.iter().map(|name| std::fs::read_to_string(directory.join(name)).unwrap()).collect()
}
