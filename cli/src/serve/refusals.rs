//! Refused requests: each is counted by its reason, and the operator is told, though not about each
//! one.
//!
//! OpenVidu and LiveKit drop an event that is not answered with 200, and say little about it. A
//! wrong secret therefore loses the whole CDR, and this log is the only place that shows it.
//! Whoever can reach the address can cause as many refusals as they like, so the log is bounded: the
//! first refusal of a reason and an address is logged at once, then one line per minute says how
//! many there were. A sender does not disappear among strangers, because each address has lines of
//! its own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use super::listen::PeerName;
use super::response::Response;
use crate::print::beginning;

/// The time between two lines about the same reason and address.
const INTERVAL: Duration = Duration::from_secs(60);

/// How many addresses have lines of their own, for each reason. All others share one, so that a
/// network of strangers fills neither the memory nor the log.
const ADDRESSES_MAX: usize = 16;

/// A path is logged up to this length.
const TEXT_BYTES_MAX: usize = 256;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    NotHttp,
    NotAnEvent,
    NoHost,
    BrokenBody,
    EncodedBody,
    CredentialsMissing,
    CredentialsWrong,
    CredentialsForAnother,
    ForeignHost,
    ForeignOrigin,
    UnknownPath,
    WrongMethod,
    SlowBody,
    LargeBody,
    QueueFull,
    Unacknowledged,
    Memory,
    CannotWrite,
    Connections,
    NotAllowed,
    TooManyRequests,
    TooManyBytes,
    TooManyFailures,
    Tls,
}

impl Reason {
    pub(super) const ALL: [Self; 24] = [
        Self::NotHttp,
        Self::NotAnEvent,
        Self::NoHost,
        Self::BrokenBody,
        Self::EncodedBody,
        Self::CredentialsMissing,
        Self::CredentialsWrong,
        Self::CredentialsForAnother,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::UnknownPath,
        Self::WrongMethod,
        Self::SlowBody,
        Self::LargeBody,
        Self::QueueFull,
        Self::Unacknowledged,
        Self::Memory,
        Self::CannotWrite,
        Self::Connections,
        Self::NotAllowed,
        Self::TooManyRequests,
        Self::TooManyBytes,
        Self::TooManyFailures,
        Self::Tls,
    ];

    /// One word, for the log and the label of the counter.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::NotAnEvent => "not_an_event",
            Self::NoHost => "no_host",
            Self::BrokenBody => "broken_body",
            Self::EncodedBody => "encoded_body",
            Self::CredentialsMissing => "credentials_missing",
            Self::CredentialsWrong => "credentials_wrong",
            Self::CredentialsForAnother => "credentials_for_another",
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::UnknownPath => "unknown_path",
            Self::WrongMethod => "wrong_method",
            Self::SlowBody => "slow_body",
            Self::LargeBody => "large_body",
            Self::QueueFull => "queue_full",
            Self::Unacknowledged => "unacknowledged",
            Self::Memory => "memory",
            Self::CannotWrite => "cannot_write",
            Self::Connections => "connections",
            Self::NotAllowed => "not_allowed",
            Self::TooManyRequests => "too_many_requests",
            Self::TooManyBytes => "too_many_bytes",
            Self::TooManyFailures => "too_many_failures",
            Self::Tls => "tls",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the answer is not the one that the sender hoped for. It travels with the answer to where the
/// peer and the path are known: see [`Refusal::of`].
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    /// A sentence that contains no secret and nothing from the body.
    detail: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The same answer, marked as a refusal.
    pub(super) fn mark(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn of(response: &Response) -> Option<&Self> {
        response.extensions().get()
    }
}

/// One refusal, as it is logged.
#[derive(Clone, Debug)]
struct Told {
    reason: Reason,
    status: Option<u16>,
    peer: SocketAddr,
    path: Option<String>,
    detail: Cow<'static, str>,
    /// How many there were since the previous line.
    count: u64,
}

impl Told {
    fn tell(&self) {
        tracing::warn!(
            reason = self.reason.as_str(),
            status = self.status,
            peer = %PeerName(self.peer),
            path = self.path.as_deref(),
            count = self.count,
            detail = %self.detail,
            "refused"
        );
    }
}

/// The refusals of one reason and address.
#[derive(Debug)]
struct Entry {
    told_at: Instant,
    /// The last refusal that is not logged yet.
    untold: Option<Told>,
}

/// What was logged, and what is still to be logged.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<(Reason, Option<IpAddr>), Entry>>);

impl Refusals {
    /// Logs a refusal now or later. `status` and `path` are `None` if there was no request.
    pub(super) fn note(
        &self,
        refusal: Refusal,
        status: Option<StatusCode>,
        peer: SocketAddr,
        path: Option<&str>,
    ) {
        let Refusal { reason, detail } = refusal;
        let told = Told {
            reason,
            status: status.map(|status| status.as_u16()),
            peer,
            path: path.map(shortened),
            detail,
            count: 1,
        };
        if let Some(told) = self.add(told, Instant::now()) {
            told.tell();
        }
    }

    /// What is to be logged about a refusal at once, if anything.
    fn add(&self, told: Told, now: Instant) -> Option<Told> {
        let mut entries = self.entries();
        let key = key(&entries, told.reason, told.peer.ip().to_canonical());
        let Some(entry) = entries.get_mut(&key) else {
            entries.insert(key, Entry { told_at: now, untold: None });
            return Some(told);
        };
        let count = 1 + entry.untold.take().map_or(0, |before| before.count);
        let told = Told { count, ..told };
        if now.saturating_duration_since(entry.told_at) < INTERVAL {
            entry.untold = Some(told);
            return None;
        }
        entry.told_at = now;
        Some(told)
    }

    /// Logs what has waited long enough. Called about once a second.
    pub(super) fn sweep(&self) {
        self.due(Instant::now()).iter().for_each(Told::tell);
    }

    fn due(&self, now: Instant) -> Vec<Told> {
        let mut due = Vec::new();
        self.entries().retain(|_, entry| {
            if now.saturating_duration_since(entry.told_at) < INTERVAL {
                return true;
            }
            entry.told_at = now;
            let untold = entry.untold.take();
            let is_alive = untold.is_some();
            due.extend(untold);
            is_alive
        });
        due
    }

    /// Logs everything that is not logged yet: the server ends.
    pub(super) fn tell_rest(&self) {
        let entries = std::mem::take(&mut *self.entries());
        entries.into_values().filter_map(|entry| entry.untold).for_each(|told| told.tell());
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<(Reason, Option<IpAddr>), Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of an address, or the one shared by all addresses for which there is no room.
fn key(
    entries: &HashMap<(Reason, Option<IpAddr>), Entry>,
    reason: Reason,
    address: IpAddr,
) -> (Reason, Option<IpAddr>) {
    let own = (reason, Some(address));
    let others = || entries.keys().filter(|(known, address)| *known == reason && address.is_some());
    if entries.contains_key(&own) || others().count() < ADDRESSES_MAX {
        own
    } else {
        (reason, None)
    }
}

/// The beginning of a text that a peer chose, for the log.
pub(super) fn shortened(text: &str) -> String {
    beginning(text, TEXT_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(number: u8) -> Told {
        Told {
            reason: Reason::CredentialsWrong,
            status: Some(401),
            peer: SocketAddr::from(([192, 0, 2, number], 4711)),
            path: Some("/".to_owned()),
            detail: Cow::Borrowed("the credentials are wrong"),
            count: 1,
        }
    }

    fn counts(told: impl IntoIterator<Item = Told>) -> Vec<u64> {
        told.into_iter().map(|told| told.count).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_those_of_a_minute_together() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        assert_eq!(counts(refusals.add(told(1), begin)), [1]);
        for _ in 0..5 {
            assert!(refusals.add(told(1), begin + INTERVAL / 2).is_none());
        }
        assert!(refusals.due(begin + INTERVAL / 2).is_empty());
        // Even if nobody is refused any more.
        assert_eq!(counts(refusals.due(begin + INTERVAL)), [5]);
        assert!(refusals.add(told(1), begin + INTERVAL * 3 / 2).is_none());
        assert_eq!(counts(refusals.add(told(1), begin + INTERVAL * 2)), [2]);
    }

    #[test]
    fn what_has_been_quiet_for_a_minute_is_forgotten_and_then_told_at_once() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        assert!(refusals.add(told(1), begin).is_some());
        assert!(refusals.due(begin + INTERVAL).is_empty());
        assert!(refusals.entries().is_empty());
        assert_eq!(counts(refusals.add(told(1), begin + INTERVAL)), [1]);
    }

    #[test]
    fn a_sender_is_told_of_beside_a_stranger_and_many_strangers_share_a_line() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        let at_once = (0..=u8::MAX).filter_map(|number| refusals.add(told(number), begin));
        assert_eq!(at_once.count(), ADDRESSES_MAX + 1);
        assert_eq!(refusals.entries().len(), ADDRESSES_MAX + 1);
        assert_eq!(counts(refusals.due(begin + INTERVAL)), [255 - ADDRESSES_MAX as u64]);
    }

    #[test]
    fn a_long_path_is_told_up_to_its_bound_and_not_within_a_character() {
        assert_eq!(shortened("/events"), "/events");
        let long = shortened(&"é".repeat(1000));
        assert_eq!(long.len(), TEXT_BYTES_MAX);
        assert!(shortened(&format!("/{}", "é".repeat(1000))).len() < TEXT_BYTES_MAX);
    }

    #[test]
    fn each_reason_has_a_word_and_a_counter_of_its_own() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason}");
            assert_eq!(
                Reason::ALL.iter().filter(|other| other.as_str() == reason.as_str()).count(),
                1
            );
        }
    }
}
