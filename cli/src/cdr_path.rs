//! The directory of the CDR, from the command line.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

/// The variable that names the directory, as in OpenVidu.
pub(super) const VARIABLE: &str = "OPENVIDU_CDR_PATH";

/// The directory if nothing names one: OpenVidu's own.
pub(super) const DEFAULT: &str = "/opt/openvidu/cdr";

/// The directory in it in which the library keeps its own files.
pub(super) const STATE_DIR_NAME: &str = ".cdrlog";

/// The option `--dir`. If the command line also has an argument for the directory, the argument
/// overrides the environment, and `command_line.rs` refuses the two if they differ.
#[derive(Debug, Args)]
pub(super) struct DirOption {
    /// The directory of the CDR
    #[arg(long, value_name = "DIR", env = VARIABLE, default_value = DEFAULT)]
    pub(super) dir: PathBuf,
}

/// One directory, as an argument or as `--dir`.
#[derive(Debug, Args)]
pub(super) struct DirArg {
    /// The directory of the CDR; the same as --dir
    #[arg(id = "cdr_path", value_name = "DIR")]
    path: Option<PathBuf>,

    #[command(flatten)]
    option: DirOption,
}

impl DirArg {
    pub(super) fn into_path(self) -> PathBuf {
        self.path.unwrap_or(self.option.dir)
    }

    #[cfg(feature = "ship")]
    pub(super) fn path(&self) -> &Path {
        self.path.as_ref().unwrap_or(&self.option.dir)
    }
}

/// Says which directory is used instead of the one that an empty variable was meant to name: it may
/// be the wrong one. `None` if the variable is not empty.
pub(super) fn empty_variable_note(used: &Path) -> Option<String> {
    let is_empty = std::env::var_os(VARIABLE).is_some_and(|value| value.is_empty());
    is_empty.then(|| {
        format!("{VARIABLE} is empty and counts as not set: the directory is {}", used.display())
    })
}

/// The metadata of `path`. The error message says how to name another path.
pub(super) fn metadata(path: &Path) -> Result<Metadata, String> {
    fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{} does not exist: name another directory or file, or set {VARIABLE}",
            path.display()
        ),
        _ => format!("cannot read {}: {error}", path.display()),
    })
}

/// The same for commands that need a directory.
pub(super) fn check_directory(path: &Path) -> Result<(), String> {
    match metadata(path)?.is_dir() {
        true => Ok(()),
        false => Err(format!("{} is not a directory", path.display())),
    }
}

/// `path` without the `.zst` or `.gz` of a compressed file.
pub(super) fn plain_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = plain_name(&name);
    if plain == name { path.to_owned() } else { path.with_file_name(plain) }
}

/// The same of the name of a file.
pub(super) fn plain_name(name: &str) -> &str {
    [".zst", ".gz"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}
