//! Who may read a file that holds a secret.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const GROUP: u32 = 0o070;
const OTHERS: u32 = 0o007;

/// Whether the file can be read by somebody it was not meant for: by everybody, or by the group of
/// a file that is our own. A file of another user that we read as a member of its group is how a
/// package gives a configuration to a service.
pub(super) fn is_readable_by_others(file: &Metadata) -> bool {
    let is_own = file.uid() == rustix::process::geteuid().as_raw();
    let exposing = if is_own { GROUP | OTHERS } else { OTHERS };
    file.mode() & exposing != 0
}

/// Tells the operator.
pub(super) fn warn(path: &Path) {
    tracing::warn!(path = %path.display(), "others may read this file, and a secret is in it");
}
