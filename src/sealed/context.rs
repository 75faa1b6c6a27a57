//! What the maintenance shares with other threads.

use std::sync::Arc;

use super::requests::MaintenanceRequests;
use crate::notice::Listener;
use crate::open_files::OpenFiles;
use crate::stats::MaintenanceCounters;

#[derive(Clone, Debug)]
pub(crate) struct MaintenanceContext {
    pub(crate) requests: Arc<MaintenanceRequests>,
    pub(crate) open_files: Arc<OpenFiles>,
    pub(crate) counters: Arc<MaintenanceCounters>,
    pub(crate) listener: Listener,
}
