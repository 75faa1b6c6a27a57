//! OpenVidu Meet's signature: `x-signature` is the HMAC with SHA-256, in hexadecimal, of
//! `x-timestamp`, a full stop and the body, keyed with Meet's API key.

use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;

use super::secret::{AuthError, Secret, lines_of};
use super::{Denied, sole};

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");

/// How old a signature may be, and how far in the future: what Meet's documentation recommends.
/// Meet signs once and tries six times within 40 seconds, with the same signature.
const AGE_MAX: Duration = Duration::from_secs(120);

/// Milliseconds since 1970 have 13 digits, and no 64-bit number has more digits than this.
const TIMESTAMP_BYTES_MAX: usize = 20;

/// Keyed, ready to be cloned for each body.
pub(super) struct Meet(Vec<Hmac<Sha256>>);

impl std::fmt::Debug for Meet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Meet({} keys)", self.0.len())
    }
}

/// What the headers say about the body.
#[derive(Debug)]
pub(super) struct Signed {
    /// As it was sent: the signature is over these bytes.
    timestamp: Vec<u8>,
    signature: [u8; 32],
}

impl Signed {
    /// Returns an error if the headers are missing, malformed or too old.
    pub(super) fn of(headers: &HeaderMap, now: Duration) -> Result<Self, Denied> {
        let (signature, timestamp) = match (sole(headers, &SIGNATURE), sole(headers, &TIMESTAMP)) {
            (Ok(signature), Ok(timestamp)) => (signature, timestamp),
            (Err(Denied::Missing), _) => return Err(Denied::Missing),
            (_, Err(Denied::Missing)) => return Err(Denied::Wrong("x-timestamp is missing")),
            (Err(denied), _) | (_, Err(denied)) => return Err(denied),
        };
        let signature =
            unhex(signature).ok_or(Denied::Wrong("x-signature is not 64 hexadecimal digits"))?;
        let sent_at = milliseconds(timestamp)
            .ok_or(Denied::Wrong("x-timestamp is not a time in milliseconds"))?;
        if now.abs_diff(sent_at) > AGE_MAX {
            return Err(Denied::Wrong("x-timestamp is too far from now; compare the clocks"));
        }
        Ok(Self { timestamp: timestamp.to_vec(), signature })
    }
}

impl Meet {
    pub(super) fn new(keys: impl IntoIterator<Item = Secret>) -> Result<Self, AuthError> {
        let keyed = |key: Secret| {
            Hmac::new_from_slice(key.expose())
                .map_err(|error| AuthError::new("OpenVidu Meet's API key", error.to_string()))
        };
        keys.into_iter().map(keyed).collect::<Result<_, _>>().map(Self)
    }

    /// One API key per line.
    pub(super) fn from_file(path: &Path) -> Result<Self, AuthError> {
        let lines = lines_of(path)?;
        let keys: Result<Vec<_>, _> =
            lines.iter().map(|line| Secret::new(&line.from, line.text.as_bytes())).collect();
        Self::new(keys?)
    }

    /// In constant time, by `verify_slice`.
    pub(super) fn check(&self, signed: &Signed, body: &[u8]) -> bool {
        self.0.iter().fold(false, |fits, key| {
            let mac = key.clone().chain_update(&signed.timestamp).chain_update(b".");
            fits | mac.chain_update(body).verify_slice(&signed.signature).is_ok()
        })
    }
}

fn milliseconds(text: &[u8]) -> Option<Duration> {
    let is_number = !text.is_empty()
        && text.len() <= TIMESTAMP_BYTES_MAX
        && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok().map(Duration::from_millis)
}

fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            let value = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(value).ok()?;
        }
    }
    Some(bytes)
}
