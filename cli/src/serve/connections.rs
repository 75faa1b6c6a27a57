//! All connections: how many there may be, which one makes way for another, and when the time of
//! one is over. A peer that sends nothing, or a byte now and then, or does not read, loses its
//! place.
//!
//! One sweep over all connections, four times a second, replaces timers for each of them: a request
//! then costs only a few stores, and every phase has a limit, even the TLS handshake and the first
//! bytes, which tell the version of HTTP.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::conn_state::{Common, ConnState, NEVER, has_passed};
use super::peer_table::peer_of;
use super::settings::Limits;
use super::shutdown_phase::ShutdownPhase;

/// How often all connections are checked.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// If there are not enough places, a connection that was idle for this long makes way.
const IDLE_TIMEOUT_WHEN_FULL: Duration = Duration::from_secs(1);

/// How long the server waits for an HTTP/2 peer without a request to hear that it stops.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    common: Arc<Common>,
    registry: Mutex<Registry>,
    /// A new connection waits for a place, and no other could be ended for it.
    is_short: AtomicBool,
    /// Connections that were refused because their address had too many.
    refused: AtomicU64,
    /// Connections that have ended since the last call that asked.
    ended: AtomicU64,
}

#[derive(Debug)]
struct Registry {
    /// What a new connection is told at once, so that none is added after all the others were told
    /// to stop.
    phase: ShutdownPhase,
    stopped_at: u64,
    next: u64,
    /// By number, so the oldest one comes first.
    all: BTreeMap<u64, Arc<ConnState>>,
    by_peer: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            common: Arc::new(Common::new(limits)),
            registry: Mutex::new(Registry {
                phase: ShutdownPhase::Serve,
                stopped_at: NEVER,
                next: 0,
                all: BTreeMap::new(),
                by_peer: HashMap::new(),
            }),
            is_short: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        })
    }

    /// Whether this peer may have one more. If one peer may have them all, none is refused.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let peer_max = self.common.limits.peer_connections_max;
        let admits = peer_max >= self.common.limits.connections_max
            || self.registry().by_peer.get(&peer_of(address)).is_none_or(|count| *count < peer_max);
        if !admits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admits
    }

    /// Adds a new connection. It is forgotten when its [`ConnGuard`] is dropped.
    pub(super) fn add(self: &Arc<Self>, address: IpAddr) -> ConnGuard {
        let mut registry = self.registry();
        let number = registry.next;
        registry.next += 1;
        let state = Arc::new(ConnState::new(number, self.common.clone(), registry.phase));
        registry.all.insert(number, state.clone());
        let peer = peer_of(address);
        *registry.by_peer.entry(peer).or_default() += 1;
        ConnGuard { connections: self.clone(), state, peer }
    }

    pub(super) fn count(&self) -> usize {
        self.registry().all.len()
    }

    /// Connections refused since the last call because their address had too many.
    pub(super) fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }

    /// Connections that have ended since the last call.
    pub(super) fn take_ended(&self) -> u64 {
        self.ended.swap(0, Ordering::Relaxed)
    }

    /// Ends the oldest connection that may be ended for a new one. If there is none, each sweep
    /// tries again until [`note_room`](Self::note_room).
    pub(super) fn make_room(&self) {
        let yielding = self.registry().all.values().find(|state| state.yields()).cloned();
        match yielding {
            Some(state) => state.control().advance(ShutdownPhase::End),
            None => self.is_short.store(true, Ordering::Relaxed),
        }
    }

    /// The new connection has its place.
    pub(super) fn note_room(&self) {
        self.is_short.store(false, Ordering::Relaxed);
    }

    /// Waits while a crowd of strangers is being ended.
    pub(super) async fn wait_for_ending(&self) {
        self.common.memory.wait_for_ending().await;
    }

    /// Checks every connection, and ends those whose time is over.
    pub(super) fn sweep(&self) {
        let now = self.common.tick();
        let is_short = self.is_short.load(Ordering::Relaxed);
        let registry = self.registry();
        let is_over = has_passed(now, registry.stopped_at, GOODBYE_TIMEOUT);
        for state in registry.all.values() {
            let is_idle = !state.has_requests();
            let phase = if is_idle && is_over || is_short && state.yields() {
                ShutdownPhase::End
            } else {
                state.phase_at(now, is_short.then_some(IDLE_TIMEOUT_WHEN_FULL))
            };
            if phase != ShutdownPhase::Serve {
                state.control().advance(phase);
            } else if !is_idle {
                // It may have waited for too long: see `ConnState::within`.
                state.control().wake();
            }
        }
    }

    /// Tells this to every connection, and to every one that is added later. Returns the number of
    /// the first one that is added after this.
    pub(super) fn advance(&self, phase: ShutdownPhase) -> u64 {
        let mut registry = self.registry();
        registry.phase = registry.phase.max(phase);
        if phase >= ShutdownPhase::Stop {
            registry.stopped_at = registry.stopped_at.min(self.common.now());
        }
        for state in registry.all.values() {
            state.control().advance(phase);
        }
        registry.next
    }

    /// Connections added from now on are served. Those that were told something else keep that.
    pub(super) fn resume(&self) {
        let mut registry = self.registry();
        registry.phase = ShutdownPhase::Serve;
        registry.stopped_at = NEVER;
    }

    /// Whether a connection remains that was added before the one with this number.
    pub(super) fn are_there_before(&self, number: u64) -> bool {
        self.registry().all.range(..number).next().is_some()
    }

    /// Ends connections that have had a request and have none now.
    pub(super) fn stop_between_requests(&self) {
        for state in self.registry().all.values().filter(|state| state.is_between_requests()) {
            state.control().advance(ShutdownPhase::Stop);
        }
    }

    /// Ends connections that have had no request for so long. An HTTP/2 connection was told to
    /// finish before that.
    pub(super) fn stop_idle(&self, time: Duration) {
        let now = self.common.tick();
        for state in self.registry().all.values().filter(|state| state.is_idle_for(now, time)) {
            let is_told = state.is_http2();
            state.control().advance(if is_told { ShutdownPhase::End } else { ShutdownPhase::Stop });
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection among all others.
#[derive(Debug)]
pub(super) struct ConnGuard {
    connections: Arc<Connections>,
    state: Arc<ConnState>,
    peer: IpAddr,
}

impl ConnGuard {
    pub(super) fn state(&self) -> &Arc<ConnState> {
        &self.state
    }
}

impl Drop for ConnGuard {
    fn drop(&mut self) {
        let connections = &self.connections;
        if self.state.is_http2() {
            connections.common.memory.forget(self.state.number());
        }
        connections.ended.fetch_add(1, Ordering::Relaxed);
        let mut registry = connections.registry();
        registry.all.remove(&self.state.number());
        if let Some(count) = registry.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                registry.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::CONNECTION_BYTES;
    use super::*;

    fn connections(connections_max: usize, peer_connections_max: usize) -> Arc<Connections> {
        let minute = Duration::from_mins(1);
        Connections::new(Limits {
            connections_max,
            peer_connections_max,
            peer_requests_per_second: 0,
            peer_bytes_per_second: 0,
            peer_auth_failures_per_minute: 0,
            header_bytes_max: 8192,
            bodies_bytes_max: 1 << 20,
            header_timeout: minute,
            body_timeout: minute,
            idle_timeout: minute,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_that_is_added_after_the_stop_is_told_to_stop() {
        let connections = connections(10, 10);
        let before = connections.add(address("192.0.2.1"));
        connections.advance(ShutdownPhase::Stop);
        let after = connections.add(address("192.0.2.1"));
        assert_eq!(
            [&before, &after].map(|guard| guard.state.control().phase()),
            [ShutdownPhase::Stop; 2]
        );
    }

    #[test]
    fn a_peer_is_an_address_or_a_network_of_ipv6() {
        let connections = connections(10, 2);
        let guards = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2:0:0:1"]
            .map(|text| connections.add(address(text)));
        for (text, admitted) in [
            ("192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8::3", false),
            ("2001:db8:0:1::3", true),
        ] {
            assert_eq!(connections.admits(address(text)), admitted, "{text}");
        }
        assert_eq!(connections.take_refused(), 2);
        drop(guards);
        assert!(connections.admits(address("192.0.2.1")));
    }

    #[test]
    fn the_oldest_silent_connection_makes_room_and_none_with_credentials() {
        let connections = connections(10, 10);
        let guards: Vec<_> = (0..4).map(|_| connections.add(address("192.0.2.1"))).collect();
        guards[0].state.note_credentials();
        let _busy = guards[1].state.begin_request(false);
        let phases =
            || guards.iter().map(|guard| guard.state.control().phase()).collect::<Vec<_>>();
        for ended in 2..4 {
            connections.make_room();
            assert_eq!(phases()[ended], ShutdownPhase::End);
        }
        connections.make_room();
        assert_eq!(phases()[..2], [ShutdownPhase::Serve; 2]);
    }

    #[test]
    fn a_connection_that_shows_credentials_holds_its_requests_alone() {
        let connections = connections(10, 10);
        let guard = connections.add(address("192.0.2.1"));
        guard.state.note_http2();
        guard.state.note_http2();
        assert_eq!(connections.common.memory.bytes(), CONNECTION_BYTES);
        let first = guard.state.begin_request(true);
        guard.state.note_credentials();
        let second = guard.state.begin_request(true);
        let held = connections.common.memory.bytes();
        assert!((1..CONNECTION_BYTES).contains(&held), "{held}");
        drop((first, second));
        assert_eq!(connections.common.memory.bytes(), 0);
        let stranger = connections.add(address("192.0.2.1"));
        stranger.state.note_http2();
        drop(stranger);
        assert_eq!(connections.common.memory.bytes(), 0);
    }
}
