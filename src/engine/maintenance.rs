//! The maintenance thread: maintains sealed files whenever there is a new one, and every hour.
//!
//! Failures are reported and retried, with growing pauses.

use std::sync::Arc;
use std::time::Duration;

use crate::sealed::{Halt, Maintenance, MaintenanceRequests};
use crate::sync::EndGuard;
use crate::system;

/// How often the age of files is checked.
const ROUND_INTERVAL: Duration = Duration::from_secs(3600);

/// The first pause before a failed round is retried; it doubles up to `ROUND_INTERVAL`.
const RETRY_INTERVAL_MIN: Duration = Duration::from_secs(60);

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
        system::lower_priority();
        let requests = self.requests.clone();
        requests.attach();
        // Tells whoever waits that the thread has ended, however it ended.
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
