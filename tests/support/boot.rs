//! Which boot of the kernel a directory was written in.

use std::fs;
use std::path::Path;

/// Makes a directory look as if the machine was booted since it was written to.
pub fn change_boot_id(directory: &Path) {
    rewrite_boot_id(directory, |id| id[0] ^= 1);
}

/// Changes the boot id in the control file of a directory, and the checksum over it.
pub fn rewrite_boot_id(directory: &Path, change: impl FnOnce(&mut [u8])) {
    let path = directory.join(".cdrlog/control");
    let mut page = fs::read(&path).unwrap();
    change(&mut page[24..40]);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &page[16..40]);
    page[40..44].copy_from_slice(&checksum.to_le_bytes());
    fs::write(path, page).unwrap();
}
