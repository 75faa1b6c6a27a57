//! What the command line says where a CDR is.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// What is at `path`. The message of an error says how to name another place.
pub(super) fn metadata(path: &Path) -> Result<Metadata, String> {
    fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no directory and no file {}: name one, or set OPENVIDU_CDR_PATH",
            path.display()
        ),
        _ => format!("cannot read {}: {error}", path.display()),
    })
}

/// The same for commands that need a directory.
pub(super) fn check_directory(path: &Path) -> Result<(), String> {
    match metadata(path)?.is_dir() {
        true => Ok(()),
        false => Err(format!("{} is no directory", path.display())),
    }
}

/// `path` without the `.zst` or `.gz` that says how it is compressed.
pub(super) fn plain_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = [".zst", ".gz"].iter().find_map(|suffix| name.strip_suffix(suffix));
    plain.map_or_else(|| path.to_owned(), |plain| path.with_file_name(plain))
}
