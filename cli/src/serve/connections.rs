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
use std::time::{Duration, Instant};

use super::settings::Limits;
use super::watch::{NEVER, Order, Watch};

/// How often all connections are looked at.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// Where places are short, a connection that was idle for this long makes room.
const IDLE_TIMEOUT_WHEN_FULL: Duration = Duration::from_secs(1);

/// How long a peer that has shown no credentials may leave an answer unread.
pub(super) const STRANGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a peer of HTTP/2 without a request gets to hear that the server stops.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// What all peers of HTTP/2 that have shown no credentials may take, with the unread answers of all
/// others.
const HELD_BYTES_MAX: usize = 16 << 20;

/// What a connection of HTTP/2 takes without its requests: its buffers, the tables that compress
/// heads, and places for streams. 25 to 30 KiB were measured.
const CONNECTION_BYTES: usize = 32 << 10;

/// All connections there are.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) limits: Limits,
    begin: Instant,
    /// Milliseconds since `begin`, as of the last sweep.
    now: AtomicU64,
    registry: Mutex<Registry>,
    held: Mutex<Held>,
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

/// What connections of HTTP/2 hold, by their number: the oldest one first.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    by_connection: BTreeMap<u64, Holding>,
}

#[derive(Debug, Default)]
struct Holding {
    bytes: usize,
    has_credentials: bool,
}

impl Held {
    fn add(&mut self, number: u64, bytes: usize, has_credentials: bool) {
        let own = self.by_connection.entry(number).or_default();
        own.bytes += bytes;
        own.has_credentials |= has_credentials;
        self.bytes += bytes;
    }

    /// One that was ended holds nothing any more, but what it took after that.
    fn subtract(&mut self, number: u64, bytes: usize) {
        let Some(own) = self.by_connection.get_mut(&number) else { return };
        let bytes = bytes.min(own.bytes);
        own.bytes -= bytes;
        self.bytes -= bytes;
        if own.bytes == 0 {
            self.by_connection.remove(&number);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(own) = self.by_connection.remove(&number) {
            self.bytes -= own.bytes;
        }
    }

    /// Who is ended where all together hold too much: the oldest one without credentials, as others
    /// are answered within milliseconds; where there is none, the one that holds the most.
    fn next_victim(&self) -> Option<u64> {
        let mut all = self.by_connection.iter();
        let stranger = all.find(|(_, own)| !own.has_credentials);
        let greatest = || self.by_connection.iter().max_by_key(|(_, own)| own.bytes);
        stranger.or_else(greatest).map(|(number, _)| *number)
    }
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            begin: Instant::now(),
            now: AtomicU64::new(0),
            registry: Mutex::new(Registry {
                order: Order::Serve,
                stopped_at: NEVER,
                next: 0,
                all: BTreeMap::new(),
                by_peer: HashMap::new(),
            }),
            held: Mutex::default(),
            is_short: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        })
    }

    /// Whether this peer may have one more. Where one peer may have all, nobody is refused.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let peer_max = self.limits.peer_connections_max;
        let admits = peer_max >= self.limits.connections_max
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
        let watch = Arc::new(Watch::new(number, self.clone(), registry.order));
        registry.all.insert(number, watch.clone());
        let peer = peer(address);
        *registry.by_peer.entry(peer).or_default() += 1;
        Place { watch, peer }
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
            Some(watch) => watch.give(Order::End),
            None => self.is_short.store(true, Ordering::Relaxed),
        }
    }

    /// The new connection has its place.
    pub(super) fn note_room(&self) {
        self.is_short.store(false, Ordering::Relaxed);
    }

    /// Looks at every connection, and ends those whose time is over.
    pub(super) fn sweep(&self) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(NEVER);
        self.now.store(now, Ordering::Relaxed);
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
                watch.give(order);
            } else if !is_idle {
                // It may have waited for too long: see `Watch::within`.
                watch.wake();
            }
        }
    }

    /// Tells every connection there is, and every one that is still added.
    pub(super) fn give(&self, order: Order) {
        let mut registry = self.registry();
        registry.order = registry.order.max(order);
        registry.stopped_at = registry.stopped_at.min(self.now());
        for watch in registry.all.values() {
            watch.give(order);
        }
    }

    /// Milliseconds since the server began, as of the last sweep.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// A peer that has shown no credentials speaks HTTP/2.
    pub(super) fn hold_connection(&self, number: u64) {
        self.hold(number, CONNECTION_BYTES, false);
    }

    /// It has shown them: what its connection takes is not counted any more.
    pub(super) fn note_credentials(&self, number: u64) {
        let mut held = self.held();
        if let Some(own) = held.by_connection.get_mut(&number)
            && !own.has_credentials
        {
            own.has_credentials = true;
            held.subtract(number, CONNECTION_BYTES);
        }
    }

    /// A connection of HTTP/2 takes memory. Where all together take too much, some are ended.
    pub(super) fn hold(&self, number: u64, bytes: usize, has_credentials: bool) {
        let mut victims = Vec::new();
        {
            let mut held = self.held();
            held.add(number, bytes, has_credentials);
            while held.bytes > HELD_BYTES_MAX
                && let Some(victim) = held.next_victim()
            {
                // It is free as soon as the connection has ended, which it is told.
                held.remove(victim);
                victims.push(victim);
            }
        }
        if victims.is_empty() {
            return;
        }
        let registry = self.registry();
        for watch in victims.iter().filter_map(|victim| registry.all.get(victim)) {
            watch.give(Order::End);
        }
    }

    pub(super) fn release(&self, number: u64, bytes: usize) {
        self.held().subtract(number, bytes);
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `limit` has passed since a time that may be [`NEVER`].
pub(super) fn has_passed(now: u64, since: u64, limit: Duration) -> bool {
    since != NEVER && now.saturating_sub(since) >= u64::try_from(limit.as_millis()).unwrap_or(NEVER)
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
        let connections = self.watch.connections();
        if self.watch.is_http2() {
            connections.held().remove(self.watch.number());
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
        assert_eq!([&before, &after].map(|place| place.watch.given()), [Order::Stop; 2]);
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
        let orders = || places.iter().map(|place| place.watch.given()).collect::<Vec<_>>();
        for ended in 2..4 {
            connections.make_room();
            assert_eq!(orders()[ended], Order::End);
        }
        connections.make_room();
        assert_eq!(orders()[..2], [Order::Serve; 2]);
    }

    #[test]
    fn the_oldest_stranger_that_holds_memory_is_ended_and_then_it_counts_no_more() {
        let connections = connections(10, 10);
        let [sender, old, new] = [(); 3].map(|()| connections.add(address("192.0.2.1")));
        let numbers = [&sender, &old, &new].map(|place| place.watch.number());
        let orders = || [&sender, &old, &new].map(|place| place.watch.given());
        connections.hold(numbers[0], HELD_BYTES_MAX - 20, true);
        connections.hold(numbers[1], 10, false);
        connections.hold(numbers[2], 10, false);
        assert_eq!(orders(), [Order::Serve; 3]);
        connections.hold(numbers[2], 10, false);
        assert_eq!(orders(), [Order::Serve, Order::End, Order::Serve]);
        // What it gives back late is not taken from others.
        connections.release(numbers[1], 10);
        assert_eq!(connections.held().bytes, HELD_BYTES_MAX);
        connections.hold(numbers[0], 21, true);
        // Without strangers it is the one that holds the most.
        assert_eq!(orders(), [Order::End; 3]);
        assert_eq!(connections.held().bytes, 0);
    }

    #[test]
    fn a_connection_that_shows_credentials_holds_its_requests_alone() {
        let connections = connections(10, 10);
        let place = connections.add(address("192.0.2.1"));
        place.watch.note_http2();
        place.watch.note_http2();
        assert_eq!(connections.held().bytes, CONNECTION_BYTES);
        let first = place.watch.begin_request(true);
        place.watch.note_credentials();
        let second = place.watch.begin_request(true);
        let held = connections.held().bytes;
        assert!((1..CONNECTION_BYTES).contains(&held), "{held}");
        drop((first, second));
        assert_eq!(connections.held().bytes, 0);
        let stranger = connections.add(address("192.0.2.1"));
        stranger.watch.note_http2();
        drop(stranger);
        assert_eq!(connections.held().bytes, 0);
    }
}
