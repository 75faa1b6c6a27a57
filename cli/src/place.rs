//! What the command line says where a CDR is.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

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
