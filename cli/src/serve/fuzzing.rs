//! What the fuzz target `http_auth` needs. Nothing else uses it.

use std::path::Path;
use std::time::Duration;

use http::HeaderMap;

use super::auth::{Auth, Sources};

/// Credentials that a request must have.
#[derive(Debug)]
pub struct Credentials(Auth);

impl Credentials {
    /// All three methods at once, with LiveKit's and Meet's keys from files.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn load(headers: &[String], livekit: &Path, meet: &Path) -> Result<Self, String> {
        let sources = Sources {
            headers,
            header_file: None,
            livekit_key_file: Some(livekit),
            meet_key_file: Some(meet),
        };
        Auth::load(&sources).map(Self).map_err(|error| error.to_string())
    }

    /// Whether a request passes at the time `now` since 1970.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now: Duration) -> Result<(), String> {
        let checked = self.0.check_headers_at(headers, now).and_then(|check| check.check(body));
        checked.map_err(|denied| denied.reason().to_owned())
    }
}
