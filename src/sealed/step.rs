//! How a step of the maintenance ends.

use crate::error::MaintenanceError;
use crate::storage::DiskError;

/// Why a step was not completed.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The appender is being closed.
    Stopped,
    Failed(MaintenanceError),
}

pub(crate) type Step<T> = Result<T, Halt>;

impl From<DiskError> for Halt {
    fn from(error: DiskError) -> Self {
        Self::Failed(error.into())
    }
}
