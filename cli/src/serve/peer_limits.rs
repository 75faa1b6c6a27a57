//! How much one peer may ask of the server in a given time: requests, bytes of bodies, wrong
//! credentials. So no sender takes what the others need, and nobody can try secrets as fast as the
//! server answers.
//!
//! A peer is the address that the socket tells, or its /64 network for IPv6. `X-Forwarded-For` and
//! the like are ignored: anybody can send them. All clients of a proxy are therefore one peer. A
//! unix socket has none of these limits: its mode says who may open it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::peer_table::{PeerTable, peer_of};
use super::refusals::{Reason, Refusal};
use super::response::{self, Response};
use super::settings::Limits;
use super::token_bucket::{Rate, TokenBucket};

/// Peers that are always remembered, and at most twice as many: about a MiB.
const PEERS: usize = 4096;

#[derive(Debug)]
pub(super) struct PeerLimits {
    requests: Option<Rate>,
    bytes: Option<Rate>,
    failures: Option<Rate>,
    traffic: Mutex<PeerTable<Traffic>>,
    /// The peers whose credentials were wrong, with what they may still try.
    failed: Mutex<PeerTable<TokenBucket>>,
    /// Whether there are any. As long as there are none, nobody has to search the table.
    has_failed: AtomicBool,
}

/// What a peer may still ask for.
#[derive(Debug)]
struct Traffic {
    requests: TokenBucket,
    bytes: TokenBucket,
}

/// A peer has asked for more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    reason: Reason,
    wait: Duration,
}

impl Exceeded {
    /// The answer to the peer: 429, and when it may try again.
    pub(super) fn refuse(self) -> Response {
        let response = response::too_many(self.message(), self.wait);
        self.refusal().mark(response)
    }

    pub(super) fn refusal(self) -> Refusal {
        Refusal::new(self.reason, self.message())
    }

    /// When the peer may try again.
    pub(super) fn wait_seconds(self) -> u64 {
        response::whole_seconds(self.wait)
    }

    fn message(self) -> &'static str {
        match self.reason {
            Reason::TooManyBytes => "more bytes than --peer-bytes-per-second",
            Reason::TooManyFailures => {
                "more wrong credentials than --peer-auth-failures-per-minute"
            }
            _ => "more requests than --peer-requests-per-second",
        }
    }
}

impl PeerLimits {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            requests: Rate::new(limits.peer_requests_per_second, Duration::from_secs(1)),
            bytes: Rate::new(limits.peer_bytes_per_second, Duration::from_secs(1)),
            failures: Rate::new(limits.peer_auth_failures_per_minute, Duration::from_secs(60)),
            traffic: Mutex::new(PeerTable::new(PEERS)),
            failed: Mutex::new(PeerTable::new(PEERS)),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Counts a request that announces a body of so many bytes. A refused one is not counted. A
    /// body may be larger than what is left; the peer then waits for longer.
    pub(super) fn admit_request(&self, address: IpAddr, body_bytes: u64) -> Result<(), Exceeded> {
        if self.requests.is_none() && self.bytes.is_none() {
            return Ok(());
        }
        self.admit_request_at(address, body_bytes, Instant::now())
    }

    fn admit_request_at(
        &self,
        address: IpAddr,
        body_bytes: u64,
        now: Instant,
    ) -> Result<(), Exceeded> {
        let mut traffic = lock(&self.traffic);
        let peer = traffic.entry(peer_of(address), || Traffic::full(now));
        check(self.requests, peer.requests, Reason::TooManyRequests, now)?;
        check(self.bytes, peer.bytes, Reason::TooManyBytes, now)?;
        take(self.requests, &mut peer.requests, 1, now);
        take(self.bytes, &mut peer.bytes, body_bytes, now);
        Ok(())
    }

    /// Counts the bytes of a body whose length was not announced.
    pub(super) fn count_bytes(&self, address: IpAddr, bytes: u64) {
        if self.bytes.is_some() {
            let now = Instant::now();
            let mut traffic = lock(&self.traffic);
            let peer = traffic.entry(peer_of(address), || Traffic::full(now));
            take(self.bytes, &mut peer.bytes, bytes, now);
        }
    }

    /// Whether the credentials of a peer are checked.
    pub(super) fn admit_credentials(&self, address: IpAddr) -> Result<(), Exceeded> {
        if !self.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.admit_credentials_at(address, Instant::now())
    }

    fn admit_credentials_at(&self, address: IpAddr, now: Instant) -> Result<(), Exceeded> {
        match lock(&self.failed).get(peer_of(address)) {
            Some(bucket) => check(self.failures, *bucket, Reason::TooManyFailures, now),
            None => Ok(()),
        }
    }

    /// Counts wrong credentials.
    pub(super) fn count_failure(&self, address: IpAddr) {
        self.count_failure_at(address, Instant::now());
    }

    fn count_failure_at(&self, address: IpAddr, now: Instant) {
        let Some(rate) = self.failures else { return };
        let mut failed = lock(&self.failed);
        failed.entry(peer_of(address), || TokenBucket::full(now)).take(1, rate, now);
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// The credentials have been replaced: what was wrong may be right now.
    pub(super) fn forget_failures(&self) {
        let mut failed = lock(&self.failed);
        failed.clear();
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// Forgets peers that have their full limits again. Called about once a second.
    pub(super) fn sweep(&self) {
        self.sweep_at(Instant::now());
    }

    fn sweep_at(&self, now: Instant) {
        lock(&self.traffic).retain(|peer| !(peer.requests.is_full(now) && peer.bytes.is_full(now)));
        let mut failed = lock(&self.failed);
        failed.retain(|bucket| !bucket.is_full(now));
        self.has_failed.store(!failed.is_empty(), Ordering::Relaxed);
    }
}

impl Traffic {
    fn full(now: Instant) -> Self {
        Self { requests: TokenBucket::full(now), bytes: TokenBucket::full(now) }
    }
}

fn check(
    rate: Option<Rate>,
    bucket: TokenBucket,
    reason: Reason,
    now: Instant,
) -> Result<(), Exceeded> {
    let wait = rate.map_or(Duration::ZERO, |rate| bucket.wait(rate, now));
    if wait.is_zero() { Ok(()) } else { Err(Exceeded { reason, wait }) }
}

fn take(rate: Option<Rate>, bucket: &mut TokenBucket, tokens: u64, now: Instant) {
    if let Some(rate) = rate {
        bucket.take(tokens, rate, now);
    }
}

fn lock<T>(table: &Mutex<PeerTable<T>>) -> MutexGuard<'_, PeerTable<T>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits(requests: u64, bytes: u64, failures: u64) -> PeerLimits {
        PeerLimits {
            requests: Rate::new(requests, SECOND),
            bytes: Rate::new(bytes, SECOND),
            failures: Rate::new(failures, 60 * SECOND),
            traffic: Mutex::new(PeerTable::new(PEERS)),
            failed: Mutex::new(PeerTable::new(PEERS)),
            has_failed: AtomicBool::new(false),
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_gets_its_requests_and_takes_none_from_others() {
        let (limits, now) = (limits(3, 0, 0), Instant::now());
        let ask = |text: &str, now| limits.admit_request_at(address(text), 0, now).is_ok();
        assert_eq!([(); 5].map(|()| ask("192.0.2.1", now)), [true, true, true, false, false]);
        assert!(ask("192.0.2.2", now));
        assert!(ask("192.0.2.1", now + SECOND / 2), "what is refused is not counted");
        // A whole IPv6 network is one peer.
        let asked = [1, 2, 3, 4].map(|host| ask(&format!("2001:db8::{host}"), now));
        assert_eq!(asked, [true, true, true, false]);
    }

    #[test]
    fn a_body_that_is_larger_than_the_limit_passes_and_is_waited_for_afterwards() {
        let (limits, now, peer) = (limits(0, 1000, 0), Instant::now(), address("192.0.2.1"));
        assert!(limits.admit_request_at(peer, 3000, now).is_ok());
        let refused = limits.admit_request_at(peer, 1, now).unwrap_err();
        assert_eq!(refused.reason, Reason::TooManyBytes);
        assert!(refused.wait > 2 * SECOND && refused.wait < 3 * SECOND, "{refused:?}");
        assert!(limits.admit_request_at(peer, 1, now + 3 * SECOND).is_ok());
    }

    #[test]
    fn bytes_that_were_not_announced_are_counted_once_they_are_there() {
        let (limits, peer) = (limits(0, 1, 0), address("192.0.2.1"));
        limits.count_bytes(peer, 1_000_000);
        assert!(limits.admit_request(peer, 0).is_err());
    }

    #[test]
    fn a_peer_may_fail_so_often_a_minute_and_is_looked_at_again_then_or_with_new_credentials() {
        let (limits, now, peer) = (limits(0, 0, 2), Instant::now(), address("192.0.2.1"));
        assert!(limits.admit_credentials(peer).is_ok());
        limits.count_failure_at(peer, now);
        assert!(limits.admit_credentials_at(peer, now).is_ok());
        limits.count_failure_at(peer, now);
        let refused = limits.admit_credentials_at(peer, now).unwrap_err();
        assert_eq!((refused.reason, refused.wait), (Reason::TooManyFailures, 30 * SECOND));
        assert!(limits.admit_credentials(peer).is_err());
        assert!(limits.admit_credentials(address("192.0.2.2")).is_ok());
        assert!(limits.admit_credentials_at(peer, now + 30 * SECOND).is_ok());
        limits.forget_failures();
        assert!(limits.admit_credentials(peer).is_ok());
    }

    #[test]
    fn peers_who_may_do_all_again_are_forgotten() {
        let (limits, now) = (limits(10, 10, 10), Instant::now());
        for number in 0..100_u8 {
            let peer = IpAddr::from([192, 0, 2, number]);
            limits.admit_request_at(peer, 1, now).unwrap();
            limits.count_failure_at(peer, now);
        }
        limits.sweep_at(now);
        assert!(!lock(&limits.traffic).is_empty() && limits.has_failed.load(Ordering::Relaxed));
        limits.sweep_at(now + 7 * SECOND);
        assert!(lock(&limits.traffic).is_empty() && lock(&limits.failed).is_empty());
        assert!(!limits.has_failed.load(Ordering::Relaxed));
    }

    #[test]
    fn without_limits_nobody_is_refused_and_nothing_is_remembered() {
        let (limits, peer) = (limits(0, 0, 0), address("192.0.2.1"));
        for _ in 0..1000 {
            limits.count_failure(peer);
            assert!(limits.admit_request(peer, u64::MAX).is_ok());
            assert!(limits.admit_credentials(peer).is_ok());
        }
        assert!(lock(&limits.traffic).is_empty() && lock(&limits.failed).is_empty());
    }
}
