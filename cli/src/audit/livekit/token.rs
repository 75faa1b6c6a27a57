//! The token with which a request to LiveKit is signed: an HS256 JWT that says what it allows.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

/// How long a token is valid, in seconds: for one request.
const VALID_SECONDS: u64 = 60;

/// What a request may do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grant<'a> {
    RoomList,
    /// For the room of this name.
    RoomAdmin(&'a str),
}

/// Signs with one API key.
pub(super) struct Signer {
    key: String,
    mac: Hmac<Sha256>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// # Errors
    ///
    /// None: HMAC takes keys of any length.
    pub(super) fn new(key: String, secret: &[u8]) -> Result<Self, InvalidLength> {
        Ok(Self { key, mac: Hmac::new_from_slice(secret)? })
    }

    /// A token for the time `now`, in seconds since 1970.
    pub(super) fn token(&self, grant: &Grant<'_>, now: u64) -> String {
        let video = match grant {
            Grant::RoomList => json!({ "roomList": true }),
            Grant::RoomAdmin(room) => json!({ "roomAdmin": true, "room": room }),
        };
        let claims =
            json!({ "iss": self.key, "nbf": now, "exp": now + VALID_SECONDS, "video": video });
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.mac.clone().chain_update(&message).finalize().into_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
