//! What the requests of one connection share.

use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};

use cdrlog::Producer;

use super::body_budget::Budget;
use super::conn_state::ConnState;
use super::metrics::Metrics;
use super::server_context::ServerContext;
use super::settings::Settings;

/// One connection, as its requests see it.
#[derive(Debug)]
pub(super) struct ConnContext {
    shared: Arc<ServerContext>,
    state: Arc<ConnState>,
    address: SocketAddr,
}

impl ConnContext {
    pub(super) const fn new(
        shared: Arc<ServerContext>,
        state: Arc<ConnState>,
        address: SocketAddr,
    ) -> Self {
        Self { shared, state, address }
    }

    /// Where the connection is from.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn shared(&self) -> &Arc<ServerContext> {
        &self.shared
    }

    pub(super) fn producer(&self) -> MutexGuard<'_, Producer> {
        self.shared.producer()
    }

    pub(super) fn state(&self) -> &Arc<ConnState> {
        &self.state
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// The appender takes nothing any more.
    pub(super) fn note_closed(&self) {
        self.shared.health.note_closed();
    }
}
