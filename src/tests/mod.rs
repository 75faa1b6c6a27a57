//! Tests that need to stand between cdrlog and the disk.

mod io_error;
mod midnight;
mod power_loss;

/// A directory in memory where there is one, because these tests make thousands of syncs.
fn memory_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
