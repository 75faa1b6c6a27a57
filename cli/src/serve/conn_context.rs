//! What the requests of one connection share.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, MutexGuard};

use cdrlog::Producer;
use hyper::header::HeaderMap;

use super::auth::{BodyCheck, Denied};
use super::body_budget::Budget;
use super::conn_state::ConnState;
use super::listen::UNIX_PEER;
use super::metrics::Metrics;
use super::peer_limits::Exceeded;
use super::response::Response;
use super::server_context::ServerContext;
use super::settings::Settings;

/// Why a peer is not let in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unwelcome {
    Denied(Denied),
    /// Its credentials were wrong so often that they are not checked for now.
    Exceeded(Exceeded),
}

impl From<Denied> for Unwelcome {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

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

    /// Where the connection comes from.
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

    /// The address whose limits apply here. `None` for a unix socket, through which a proxy sends
    /// the connections of all its clients: it limits them itself.
    fn limited_address(&self) -> Option<IpAddr> {
        (self.address != UNIX_PEER).then(|| self.address.ip())
    }

    /// Counts a request that announces a body of so many bytes, unless its peer has asked for too
    /// much.
    pub(super) fn admit_request(&self, body_bytes: u64) -> Result<(), Exceeded> {
        let Some(address) = self.limited_address() else { return Ok(()) };
        self.shared.peer_limits.admit_request(address, body_bytes)
    }

    /// Counts bytes of a body that were not announced.
    pub(super) fn count_bytes(&self, bytes: u64) {
        if let Some(address) = self.limited_address() {
            self.shared.peer_limits.count_bytes(address, bytes);
        }
    }

    /// Checks what the headers alone can prove of the credentials, unless those of this peer were
    /// wrong too often. A connection that has shown the right ones belongs to a sender, and does
    /// not wait because of others at its address.
    pub(super) fn check_headers(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<BodyCheck>, Unwelcome> {
        if let Some(address) = self.limited_address()
            && !self.state.has_credentials()
        {
            let admitted = self.shared.peer_limits.admit_credentials(address);
            admitted.map_err(Unwelcome::Exceeded)?;
        }
        self.shared.gate.check_headers(headers).map_err(|denied| self.deny(denied))
    }

    /// The same for a request that has no body.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Unwelcome> {
        let Some(check) = self.check_headers(headers)? else { return Ok(()) };
        check.check(b"").map_err(|denied| self.deny(denied))
    }

    /// Counts wrong credentials. Missing ones are not an attempt, and those that are for something
    /// else are right.
    pub(super) fn deny(&self, denied: Denied) -> Unwelcome {
        if let (Denied::Wrong(_), Some(address)) = (denied, self.limited_address()) {
            self.shared.peer_limits.count_failure(address);
        }
        Unwelcome::Denied(denied)
    }

    /// The answer to a peer that is not let in.
    pub(super) fn refuse(&self, unwelcome: Unwelcome) -> Response {
        match unwelcome {
            Unwelcome::Denied(denied) => self.shared.gate.refuse(denied),
            Unwelcome::Exceeded(exceeded) => exceeded.refuse(),
        }
    }

    /// The appender accepts nothing any more.
    pub(super) fn note_closed(&self) {
        self.shared.health.note_closed();
    }
}
