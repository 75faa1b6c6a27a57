//! What makes two events the same event.

use std::borrow::Cow;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use cdrlog::Rewriter;
use serde::Deserialize;
use siphasher::sip128::{Hasher128, SipHasher24};

/// How much a thread keeps for the next line. A larger buffer is freed.
const LINE_BYTES_KEPT: usize = 1 << 16;

/// Events that may occur several times in one millisecond with the same bytes, and nothing to tell
/// them apart: a signal that is sent twice, a filter that fires twice. A second one is written,
/// because a line too many after a retry is better than a lost event.
const WITHOUT_IDENTITY: [&[u8]; 2] = [br#"{"signalSent":"#, br#"{"filterEventDispatched":"#];

/// A hash of the line, or of what identifies a LiveKit event: SipHash-2-4 with 128 bits.
///
/// Two events with the same hash would count as one, and the second would be lost. Senders choose
/// what is in their events, so the hash has a secret of this process: nobody can search for such a
/// pair elsewhere. By chance, each pair of events in the window is such a pair with a probability
/// of 2^-128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Key(u128);

impl Key {
    /// The key of a body. `None` if it is not an event, which is rejected each time, or if it has
    /// no identity, and is written each time.
    pub(in super::super) fn of_body(rewriter: &Rewriter, body: &[u8]) -> Option<Self> {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            rewriter.rewrite(body, line).ok()?;
            let key = Self::of_line(line);
            line.shrink_to(LINE_BYTES_KEPT);
            key
        })
    }

    /// The key of a line of the CDR, with its line feed. `None` if its event has no identity.
    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        if WITHOUT_IDENTITY.iter().any(|start| line.starts_with(start)) {
            return None;
        }
        let mut hasher = *SECRET;
        match LiveKitEvent::of_line(line) {
            Some(event) => event.hash(&mut hasher),
            None => hasher.write(line),
        }
        Some(Self(hasher.finish128().as_u128()))
    }
}

/// Keyed with the standard library's random state, its only source of randomness: two 64-bit hashes
/// by SipHash, with a key from the system.
static SECRET: LazyLock<SipHasher24> = LazyLock::new(|| {
    let state = RandomState::new();
    SipHasher24::new_with_keys(state.hash_one(0_u8), state.hash_one(1_u8))
});

/// Finds the place of a key in a table. A key is already a keyed hash, whose value nobody can
/// choose, so its own bits are used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHash;

impl BuildHasher for KeyHash {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(0)
    }
}

/// The place of one key.
#[derive(Debug)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        // `Key` has no bytes for it.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 as u64);
    }
}

/// What LiveKit gives each of its events, and keeps when it sends it again or to several endpoints.
///
/// The bytes may differ in a member or two: `numDropped` counts what an endpoint has missed. An
/// `id` alone identifies nothing: OpenVidu's events of one recording all have the recording's id,
/// which an application may choose. So the `id` must look like one of LiveKit's, the event must
/// have one of LiveKit's names, and name, `id` and time must all be the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LiveKitEvent<'a> {
    #[serde(skip)]
    name: &'a [u8],
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// Seconds since 1970, a number in a string as ProtoJSON prints 64 bits.
    #[serde(borrow)]
    created_at: Cow<'a, str>,
}

impl<'a> LiveKitEvent<'a> {
    /// `line` is `{"name":{…}}` and a line feed. If the event has none of LiveKit's names, nothing
    /// is parsed.
    fn of_line(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(br#"{""#)?;
        let name_bytes = rest.iter().position(|byte| !matches!(byte, b'a'..=b'z' | b'_'))?;
        let (name, rest) = rest.split_at_checked(name_bytes)?;
        if !name.contains(&b'_') {
            return None;
        }
        let members = rest.strip_prefix(br#"":"#)?.strip_suffix(b"}\n")?;
        memchr::memmem::find(members, br#""EV_"#)?;
        let event: Self = serde_json::from_slice(members).ok()?;
        let suffix = event.id.strip_prefix("EV_")?;
        let is_one = suffix.len() == 12
            && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !event.created_at.is_empty()
            && event.created_at.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then_some(Self { name, ..event })
    }

    fn hash(&self, hasher: &mut SipHasher24) {
        // No part can hold the blank between them, and no line begins with a name.
        for part in [self.name, self.id.as_bytes(), self.created_at.as_bytes()] {
            hasher.write(part);
            hasher.write(b" ");
        }
    }
}
