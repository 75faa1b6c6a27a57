//! The maintenance thread: sees to sealed files when there is one more, and every hour.
//!
//! What fails is told and tried again, later and later.

use std::sync::Arc;
use std::time::Duration;

use crate::sealed::{Halt, Maintenance, MaintenanceRequests};
use crate::sync::EndGuard;

/// How often the age of files is looked at.
const ROUND_INTERVAL: Duration = Duration::from_secs(3600);

/// When a failed round is tried again at first; it doubles up to `ROUND_INTERVAL`.
const RETRY_INTERVAL_MIN: Duration = Duration::from_secs(60);

/// Everything else that wants the processor goes first.
const NICENESS: i32 = 10;

pub(crate) struct MaintenanceThread {
    maintenance: Maintenance,
    requests: Arc<MaintenanceRequests>,
    retry_interval: Duration,
}

impl MaintenanceThread {
    pub(crate) const fn new(maintenance: Maintenance, requests: Arc<MaintenanceRequests>) -> Self {
        Self { maintenance, requests, retry_interval: RETRY_INTERVAL_MIN }
    }

    /// Runs until it is stopped.
    pub(crate) fn run(mut self) {
        // Being nicer is always allowed; where it is not, nothing but the priority is lost.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        let requests = self.requests.clone();
        requests.attach();
        // Whoever waits is told of the end, however it comes.
        let _guard = EndGuard::new(|| requests.end());
        while !requests.is_stopping() {
            let waiting = requests.take_waiting();
            let timeout = match self.maintenance.round() {
                Ok(()) => {
                    waiting.iter().for_each(|waiting| drop(waiting.send(Ok(()))));
                    self.retry_interval = RETRY_INTERVAL_MIN;
                    ROUND_INTERVAL
                }
                Err(Halt::Failed(error)) => {
                    waiting.iter().for_each(|waiting| drop(waiting.send(Err(error.clone()))));
                    let timeout = self.retry_interval;
                    self.retry_interval = (timeout * 2).min(ROUND_INTERVAL);
                    timeout
                }
                Err(Halt::Stopped) => break,
            };
            requests.sleep(timeout);
        }
        self.maintenance.finish();
    }
}
