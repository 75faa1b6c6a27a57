//! I/O errors that say what failed, and where.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The action that failed, the path, and the error of the system.
#[derive(Clone, Debug)]
pub(crate) struct DiskError {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: Arc<io::Error>,
}

impl DiskError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// For the traits of `std`. Their caller reports the path.
impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        match Arc::try_unwrap(error.source) {
            Ok(source) => source,
            Err(source) => Self::new(source.kind(), source),
        }
    }
}

pub(crate) type DiskResult<T> = Result<T, DiskError>;

/// Makes one call, and repeats it if a signal interrupted it.
pub(super) fn call<T>(
    action: &'static str,
    path: &Path,
    mut call: impl FnMut() -> io::Result<T>,
) -> DiskResult<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done.map_err(|source| DiskError::new(action, path, source)),
        }
    }
}
