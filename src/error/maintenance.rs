//! Sealed files that cannot be listed, compressed or removed.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::storage::DiskError;

/// Maintenance of a sealed file failed. No line is lost. Maintenance is retried, except for a
/// failed sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// An I/O error, usually because the disk is full.
    Io {
        /// What failed: "read", "write", "remove".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// A sync of the manifest or of a compressed file failed. It is not retried before the next
    /// open, because a retry may succeed although the data is gone: the manifest is continued but
    /// may not survive a power loss, and the plain file stays.
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// There is a compressed file next to the plain one, with different content. Both are left as
    /// they are: somebody must decide which one to keep.
    Differs {
        /// The plain file.
        plain: PathBuf,
        /// The compressed one.
        compressed: PathBuf,
    },
    /// Another program wrote to the file while it was compressed. It is left as it is.
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The appender was closed, or the maintenance thread has ended.
    Closed,
}

#[cfg(any(feature = "compress", feature = "manifest"))]
impl MaintenanceError {
    pub(crate) fn sync(error: DiskError) -> Self {
        Self::Sync { path: error.path, source: error.source }
    }
}

impl From<DiskError> for MaintenanceError {
    fn from(error: DiskError) -> Self {
        Self::Io { action: error.action, path: error.path, source: error.source }
    }
}

impl fmt::Display for MaintenanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Sync { path, source } => write!(f, "cannot sync {}: {source}", path.display()),
            Self::Differs { plain, compressed } => write!(
                f,
                "{} and {} have different content; remove or rename one of them",
                compressed.display(),
                plain.display()
            ),
            Self::Changed { path } => {
                write!(f, "another program changed {} while it was compressed", path.display())
            }
            Self::Closed => f.write_str("the appender is closed"),
        }
    }
}

impl Error for MaintenanceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Sync { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
