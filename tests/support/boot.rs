//! Makes a directory one of another boot of the kernel.

use std::fs;
use std::path::Path;

/// Makes a directory look as if the machine was booted since it was written to.
pub fn change_boot_id(directory: &Path) {
    let path = directory.join(".cdrlog/control");
    let mut page = fs::read(&path).unwrap();
    page[24] ^= 1;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &page[16..40]);
    page[40..44].copy_from_slice(&checksum.to_le_bytes());
    fs::write(path, page).unwrap();
}
