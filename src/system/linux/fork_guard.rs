//! Tells a forked child from its parent without a system call.
//!
//! A child shares the mapped inbox with its parent. If it stored something there, it would
//! overwrite records of the parent, and neither would know.

#![expect(unsafe_code, reason = "a page that the kernel clears in a child")]

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

const PAGE_BYTES: usize = 4096;

/// A word that is 1 in the process that created it, and 0 in every child.
#[derive(Debug)]
pub(crate) struct ForkGuard {
    page: *mut u64,
}

// SAFETY: the page is owned by this value and only ever read, by atomic loads.
unsafe impl Send for ForkGuard {}
// SAFETY: as above.
unsafe impl Sync for ForkGuard {}

impl ForkGuard {
    pub(crate) fn new() -> std::io::Result<Self> {
        if cfg!(miri) {
            return Err(std::io::ErrorKind::Unsupported.into());
        }
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let page = unsafe { mmap_anonymous(std::ptr::null_mut(), PAGE_BYTES, protection, flags) }?;
        let guard = Self { page: page.cast() };
        // SAFETY: the page is ours, and holds nothing that a child needs.
        unsafe { madvise(page, PAGE_BYTES, Advice::LinuxWipeOnFork) }?;
        guard.word().store(1, Ordering::Relaxed);
        Ok(guard)
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the page is mapped as long as this value lives, and aligned.
        unsafe { AtomicU64::from_ptr(self.page) }
    }

    /// Whether this process is a child of the one that made the guard.
    #[inline]
    pub(crate) fn is_child(&self) -> bool {
        self.word().load(Ordering::Relaxed) == 0
    }
}

impl Drop for ForkGuard {
    fn drop(&mut self) {
        // SAFETY: the page was mapped by `new`, and nobody refers to it any more. If this fails,
        // the page stays.
        let _ = unsafe { munmap(self.page.cast(), PAGE_BYTES) };
    }
}
