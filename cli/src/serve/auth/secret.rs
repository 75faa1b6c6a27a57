//! Secrets, and the files that they are read from.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The maximum length of a file of secrets: a longer file is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes that are never printed.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// `from` names where it comes from, for the error if it is empty.
    pub(super) fn new(from: &str, bytes: &[u8]) -> Result<Self, AuthError> {
        if bytes.is_empty() {
            return Err(AuthError::new(from, "the secret is empty"));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The value of an environment variable, without a line end at its end.
    pub(super) fn of_variable(name: &str, value: &OsStr) -> Result<Self, AuthError> {
        let bytes = value.as_bytes();
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Self::new(&format!("${name}"), bytes)
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Credentials cannot be used. Names where they come from, and never contains one.
#[derive(Debug)]
pub(in super::super) struct AuthError {
    from: String,
    fault: String,
}

impl AuthError {
    pub(super) fn new(from: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { from: from.into(), fault: fault.into() }
    }

    /// Names the option that gave the source.
    pub(super) fn of_option(self, option: &str) -> Self {
        Self { from: format!("{option} {}", self.from), ..self }
    }

    fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(path.display().to_string(), format!("cannot be read: {error}"))
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.from, self.fault)
    }
}

impl Error for AuthError {}

/// A line of a file of secrets.
pub(super) struct Line {
    /// The file and the number of the line, for errors.
    pub(super) from: String,
    pub(super) text: String,
}

/// The lines of a file, without line ends, empty lines and comments (`#`). At least one.
pub(super) fn lines_of(path: &Path) -> Result<Vec<Line>, AuthError> {
    let name = path.display().to_string();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| AuthError::io(path, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(AuthError::new(name, format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    let lines: Vec<_> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(index, line)| Line {
            from: format!("{name}, line {}", index + 1),
            text: line.to_owned(),
        })
        .collect();
    if lines.is_empty() { Err(AuthError::new(name, "the secret is empty")) } else { Ok(lines) }
}
