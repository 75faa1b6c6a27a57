//! macOS and the BSDs.

use std::io;

/// What does not hold here.
pub(super) const WEAKNESSES: &[&str] = &[
    "where the disk copies on write (APFS, ZFS), a full one may end the process by SIGBUS, because no \
     space is reserved for the journal",
    "if the directory is moved away and made again, a second appender is noticed only at the next \
     write of the first",
];

/// Tells a forked child from its parent, by the process id.
#[derive(Debug)]
pub(crate) struct ForkGuard {
    process_id: u32,
}

impl ForkGuard {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { process_id: std::process::id() })
    }

    /// Whether this process is a child of the one that made the guard.
    pub(crate) fn is_child(&self) -> bool {
        std::process::id() != self.process_id
    }
}

/// The boot id of the running kernel: after a reboot, data that was not synced may be gone. Zeros if
/// it is unknown.
pub(crate) fn boot_id() -> [u8; 16] {
    kernel_boot_id().unwrap_or_default()
}

/// A UUID as text.
#[cfg(target_vendor = "apple")]
fn kernel_boot_id() -> Option<[u8; 16]> {
    let mut text = [0; 64];
    let bytes = kernel_value(c"kern.bootsessionuuid", &mut text)?;
    Some(super::unix::uuid(std::str::from_utf8(text.get(..bytes)?).ok()?))
}

/// Sixteen bytes.
#[cfg(target_os = "freebsd")]
fn kernel_boot_id() -> Option<[u8; 16]> {
    let mut id = [0; 16];
    (kernel_value(c"kern.boot_id", &mut id)? == id.len()).then_some(id)
}

#[cfg(not(any(target_vendor = "apple", target_os = "freebsd")))]
fn kernel_boot_id() -> Option<[u8; 16]> {
    None
}

/// Asks the kernel for a value of this name; returns how many bytes it has.
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
#[expect(unsafe_code, reason = "std and rustix have no sysctlbyname")]
fn kernel_value(name: &std::ffi::CStr, value: &mut [u8]) -> Option<usize> {
    let mut bytes = value.len();
    let place = value.as_mut_ptr().cast();
    // SAFETY: the name ends with NUL, `place` has room for `bytes` bytes, and no new value is given.
    let done = unsafe {
        libc::sysctlbyname(name.as_ptr(), place, &raw mut bytes, std::ptr::null_mut(), 0)
    };
    (done == 0).then_some(bytes)
}
