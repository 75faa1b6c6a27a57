//! The failed steps of a round: each is counted and reported once, and the first one is kept for
//! callers that wait.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::step::{Halt, Step};
use crate::error::MaintenanceError;
use crate::notice::{Listener, Notice};
use crate::stats::MaintenanceCounters;

pub(super) struct Failures {
    counters: Arc<MaintenanceCounters>,
    listener: Listener,
    /// The first one of this round.
    first: Option<MaintenanceError>,
    /// Files whose failure was reported since the last round without failures.
    told: HashSet<PathBuf>,
}

impl Failures {
    pub(super) fn new(counters: Arc<MaintenanceCounters>, listener: Listener) -> Self {
        Self { counters, listener, first: None, told: HashSet::new() }
    }

    /// Notes that a step about `path` failed, and continues; `None` if it failed.
    pub(super) fn note<T>(&mut self, path: &Path, outcome: Step<T>) -> Step<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Halt::Stopped) => Err(Halt::Stopped),
            Err(Halt::Failed(error)) => {
                self.counters.maintenance_errors.add_alone(1);
                if self.told.insert(path.to_owned()) {
                    self.listener.tell(&Notice::MaintenanceFails(error.clone()));
                }
                self.first.get_or_insert(error);
                Ok(None)
            }
        }
    }

    /// Every step of the round was tried: the first failure, if any.
    pub(super) fn end_round(&mut self) -> Step<()> {
        match self.first.take() {
            None => {
                self.told.clear();
                Ok(())
            }
            Some(error) => Err(Halt::Failed(error)),
        }
    }
}
