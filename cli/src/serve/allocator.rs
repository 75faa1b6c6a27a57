//! Gives memory back to the system after a crowd.
//!
//! The allocator of glibc keeps what was freed between things that are still there: after 4 096
//! connections that was three times what the server takes without them.

/// Gives back whole pages that nothing uses. Takes some milliseconds.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the call has no safe name")]
pub(super) fn trim() {
    // SAFETY: it may be called by any thread at any time, and touches only memory that is free.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators do this by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) const fn trim() {}
