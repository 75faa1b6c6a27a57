//! All connections: how many there may be, which of them makes room for another, and when the time
//! of one is over. A peer that sends nothing, or a byte now and then, or does not read, loses its
//! place.
//!
//! One sweep over all connections, four times a second, instead of timers for each of them: a
//! request costs a few stores this way, and no peer finds a phase without a limit, be it the TLS
//! handshake or the first bytes that tell the version of HTTP.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::order::Order;
use super::settings::Limits;
use super::watch::{Common, NEVER, Watch, has_passed};

/// How often all connections are looked at.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// Where places are short, a connection that was idle for this long makes room.
const IDLE_TIMEOUT_WHEN_FULL: Duration = Duration::from_secs(1);

/// How long a peer of HTTP/2 without a request gets to hear that the server stops.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// All connections there are.
#[derive(Debug)]
pub(super) struct Connections {
    common: Arc<Common>,
    registry: Mutex<Registry>,
    /// A new connection waits for a place, and nobody could be ended for it.
    is_short: AtomicBool,
    /// Connections that were refused because their address has too many.
    refused: AtomicU64,
    /// Connections that have ended since this was asked last.
    ended: AtomicU64,
}

#[derive(Debug)]
struct Registry {
    /// What a connection that is added is told at once, so that none is added after all others
    /// were told to stop.
    order: Order,
    stopped_at: u64,
    next: u64,
    /// By number: the oldest one first.
    all: BTreeMap<u64, Arc<Watch>>,
    by_peer: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            common: Arc::new(Common::new(limits)),
            registry: Mutex::new(Registry {
                order: Order::Serve,
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

    /// Whether this peer may have one more. Where one peer may have all, nobody is refused.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let peer_max = self.common.limits.peer_connections_max;
        let admits = peer_max >= self.common.limits.connections_max
            || self.registry().by_peer.get(&peer(address)).is_none_or(|count| *count < peer_max);
        if !admits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admits
    }

    /// A new connection. It is forgotten when its [`Place`] is dropped.
    pub(super) fn add(self: &Arc<Self>, address: IpAddr) -> Place {
        let mut registry = self.registry();
        let number = registry.next;
        registry.next += 1;
        let watch = Arc::new(Watch::new(number, self.common.clone(), registry.order));
        registry.all.insert(number, watch.clone());
        let peer = peer(address);
        *registry.by_peer.entry(peer).or_default() += 1;
        Place { connections: self.clone(), watch, peer }
    }

    pub(super) fn count(&self) -> usize {
        self.registry().all.len()
    }

    /// Connections that were refused since this was asked last, because their address has too many.
    pub(super) fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }

    /// Connections that have ended since this was asked last.
    pub(super) fn take_ended(&self) -> u64 {
        self.ended.swap(0, Ordering::Relaxed)
    }

    /// Ends the oldest connection that may be ended for a new one. Where there is none, the sweep
    /// looks again until [`note_room`](Self::note_room).
    pub(super) fn make_room(&self) {
        let yielding = self.registry().all.values().find(|watch| watch.yields()).cloned();
        match yielding {
            Some(watch) => watch.control().give(Order::End),
            None => self.is_short.store(true, Ordering::Relaxed),
        }
    }

    /// The new connection has its place.
    pub(super) fn note_room(&self) {
        self.is_short.store(false, Ordering::Relaxed);
    }

    /// Looks at every connection, and ends those whose time is over.
    pub(super) fn sweep(&self) {
        let now = self.common.tick();
        let is_short = self.is_short.load(Ordering::Relaxed);
        let registry = self.registry();
        let is_over = has_passed(now, registry.stopped_at, GOODBYE_TIMEOUT);
        for watch in registry.all.values() {
            let is_idle = !watch.has_requests();
            let order = if is_idle && is_over || is_short && watch.yields() {
                Order::End
            } else {
                watch.order_at(now, is_short.then_some(IDLE_TIMEOUT_WHEN_FULL))
            };
            if order != Order::Serve {
                watch.control().give(order);
            } else if !is_idle {
                // It may have waited for too long: see `Watch::within`.
                watch.control().wake();
            }
        }
    }

    /// Tells every connection there is, and every one that is still added.
    pub(super) fn give(&self, order: Order) {
        let mut registry = self.registry();
        registry.order = registry.order.max(order);
        registry.stopped_at = registry.stopped_at.min(self.common.now());
        for watch in registry.all.values() {
            watch.control().give(order);
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is counted as one peer: an address, or a network of IPv6 that one customer gets whole.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

/// The place of a connection among all others.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    watch: Arc<Watch>,
    peer: IpAddr,
}

impl Place {
    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connections = &self.connections;
        if self.watch.is_http2() {
            connections.common.memory.forget(self.watch.number());
        }
        connections.ended.fetch_add(1, Ordering::Relaxed);
        let mut registry = connections.registry();
        registry.all.remove(&self.watch.number());
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
        connections.give(Order::Stop);
        let after = connections.add(address("192.0.2.1"));
        assert_eq!([&before, &after].map(|place| place.watch.control().given()), [Order::Stop; 2]);
    }

    #[test]
    fn a_peer_is_an_address_or_a_network_of_ipv6() {
        let connections = connections(10, 2);
        let places = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2:0:0:1"]
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
        drop(places);
        assert!(connections.admits(address("192.0.2.1")));
    }

    #[test]
    fn the_oldest_silent_connection_makes_room_and_none_with_credentials() {
        let connections = connections(10, 10);
        let places: Vec<_> = (0..4).map(|_| connections.add(address("192.0.2.1"))).collect();
        places[0].watch.note_credentials();
        let _busy = places[1].watch.begin_request(false);
        let orders =
            || places.iter().map(|place| place.watch.control().given()).collect::<Vec<_>>();
        for ended in 2..4 {
            connections.make_room();
            assert_eq!(orders()[ended], Order::End);
        }
        connections.make_room();
        assert_eq!(orders()[..2], [Order::Serve; 2]);
    }

    #[test]
    fn a_connection_that_shows_credentials_holds_its_requests_alone() {
        let connections = connections(10, 10);
        let place = connections.add(address("192.0.2.1"));
        place.watch.note_http2();
        place.watch.note_http2();
        assert_eq!(connections.common.memory.bytes(), CONNECTION_BYTES);
        let first = place.watch.begin_request(true);
        place.watch.note_credentials();
        let second = place.watch.begin_request(true);
        let held = connections.common.memory.bytes();
        assert!((1..CONNECTION_BYTES).contains(&held), "{held}");
        drop((first, second));
        assert_eq!(connections.common.memory.bytes(), 0);
        let stranger = connections.add(address("192.0.2.1"));
        stranger.watch.note_http2();
        drop(stranger);
        assert_eq!(connections.common.memory.bytes(), 0);
    }
}
