//! What all connections share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdrlog::{Appender, Producer, Rewriter};
use hyper::StatusCode;

use super::body_budget::Budget;
use super::connections::Connections;
use super::dedup::{Dedup, FilledDedup, Key};
use super::gaps::Gaps;
use super::gate::Gate;
use super::health::Health;
use super::metrics::Metrics;
use super::peer_limits::PeerLimits;
use super::refusals::{Refusal, Refusals};
use super::settings::Settings;
use super::tls::Tls;
use super::unverified::Unverified;

/// Shared by all connections.
#[derive(Debug)]
pub(super) struct ServerContext {
    pub(super) appender: Appender,
    /// One for all connections, of which there may be thousands: each producer has a chunk of
    /// memory. Nobody waits while holding the lock.
    producer: Mutex<Producer>,
    pub(super) settings: Settings,
    pub(super) gate: Arc<Gate>,
    pub(super) tls: Option<Arc<Tls>>,
    /// The events that are not written again, and what tells which one a body is.
    dedup: Option<(Dedup, Rewriter)>,
    pub(super) metrics: Metrics,
    pub(super) refusals: Refusals,
    pub(super) health: Health,
    pub(super) budget: Budget,
    pub(super) unverified: Unverified,
    pub(super) connections: Arc<Connections>,
    pub(super) peer_limits: PeerLimits,
    /// What senders say that they dropped.
    pub(super) gaps: Arc<Gaps>,
}

/// What remains of a server whose directory is closed.
#[derive(Debug)]
pub(super) struct ClosedContext {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<Tls>>,
    gate: Arc<Gate>,
    dedup: Option<Dedup>,
    metrics: Metrics,
    refusals: Refusals,
    peer_limits: PeerLimits,
    gaps: Arc<Gaps>,
}

impl ClosedContext {
    /// The server, with its directory open again.
    pub(super) fn reopen(self, appender: Appender) -> ServerContext {
        let Self { settings, tls, gate, dedup, metrics, refusals, peer_limits, gaps } = self;
        // The process that was to take over may have taken events before it died.
        let dedup = FilledDedup::new(dedup).finish(&settings);
        let new = ServerContext::new(appender, settings, gate, tls, dedup);
        ServerContext { metrics, refusals, peer_limits, gaps, ..new }
    }
}

impl ServerContext {
    /// Takes the appender out, to close it.
    pub(super) fn take_appender(self) -> (Appender, ClosedContext) {
        let Self {
            appender, settings, tls, gate, dedup, metrics, refusals, peer_limits, gaps, ..
        } = self;
        let dedup = dedup.map(|(dedup, _)| dedup);
        let closed =
            ClosedContext { settings, tls, gate, dedup, metrics, refusals, peer_limits, gaps };
        (appender, closed)
    }

    pub(super) fn new(
        appender: Appender,
        settings: Settings,
        gate: Arc<Gate>,
        tls: Option<Arc<Tls>>,
        dedup: Option<Dedup>,
    ) -> Self {
        let rewriter = Rewriter::with_event_bytes_max(settings.event_bytes_max);
        let connections = Connections::new(settings.limits);
        Self {
            producer: Mutex::new(appender.producer()),
            appender,
            metrics: Metrics::new(&settings.directory),
            refusals: Refusals::default(),
            health: Health::default(),
            budget: Budget::new(settings.limits.bodies_bytes_max),
            unverified: Unverified::new(settings.unverified_bytes_max()),
            connections,
            peer_limits: PeerLimits::new(&settings.limits),
            gaps: Gaps::new(&settings.directory),
            dedup: dedup.map(|dedup| (dedup, rewriter)),
            settings,
            gate,
            tls,
        }
    }

    pub(super) fn producer(&self) -> MutexGuard<'_, Producer> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory of events, and the key of this one. `None` if there is no memory, or the event
    /// has no key: see [`Key::of_body`].
    pub(super) fn remembered(&self, event: &[u8]) -> Option<(&Dedup, Key)> {
        let (dedup, rewriter) = self.dedup.as_ref()?;
        Some((dedup, Key::of_body(rewriter, event)?))
    }

    /// Events that were repeated within the window.
    pub(super) fn repeated(&self) -> u64 {
        self.dedup.as_ref().map_or(0, |(dedup, _)| dedup.duplicates())
    }

    /// Counts a refusal, and logs it. `status` and `path` are `None` if there was no request.
    pub(super) fn note_refusal(
        &self,
        refusal: Refusal,
        status: Option<StatusCode>,
        peer: SocketAddr,
        path: Option<&str>,
    ) {
        self.metrics.count_refusal(refusal.reason);
        self.refusals.note(refusal, status, peer, path);
    }

    /// Why events cannot be written now, if they cannot.
    pub(super) fn failure(&self) -> Option<String> {
        self.health.failure(&self.appender)
    }
}
