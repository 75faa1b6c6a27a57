//! LiveKit's token: a JWT in `Authorization`, signed with HS256, that names the SHA-256 of the
//! body.
//!
//! The same keys sign the tokens with which participants join rooms. Those have no `sha256` claim
//! and must not pass here: every participant holds one.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::secret::{AuthError, Secret, lines_of};
use super::{Denied, hs256};

/// How far apart the clocks of LiveKit and of this server may be: LiveKit's own receivers allow the
/// same. A smaller value would refuse, and so lose, events that those accept.
const LEEWAY: Duration = Duration::from_secs(60);

pub(super) struct LiveKit {
    keys: Vec<(String, DecodingKey)>,
    validation: Validation,
}

impl std::fmt::Debug for LiveKit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveKit({} keys)", self.keys.len())
    }
}

/// Times are seconds since 1970.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: u64,
    #[serde(default)]
    nbf: u64,
    sha256: Option<String>,
}

impl LiveKit {
    /// API keys with their secrets. At least one.
    pub(super) fn new(keys: impl IntoIterator<Item = (Secret, Secret)>) -> Result<Self, AuthError> {
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked here, against a time that tests can give. There is no audience: the
        // token is bound to a body.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let keys = keys
            .into_iter()
            .map(|(key, secret)| {
                let name = String::from_utf8(key.expose().to_vec())
                    .map_err(|_| AuthError::new("LiveKit's API key", "it is not UTF-8"))?;
                Ok((name, DecodingKey::from_secret(secret.expose())))
            })
            .collect::<Result<_, AuthError>>()?;
        Ok(Self { keys, validation })
    }

    pub(super) fn from_file(path: &Path) -> Result<Self, AuthError> {
        Self::new(keys_of_file(path)?)
    }

    /// The SHA-256 that the body must have, if the token is valid at the time `now`.
    pub(super) fn check(&self, authorization: &[u8], now: Duration) -> Result<[u8; 32], Denied> {
        let token = match authorization.split_at_checked("Bearer ".len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => token,
            _ => authorization,
        };
        let claims = self.verified(token).ok_or(Denied::Wrong("the credentials are wrong"))?;
        let (now, leeway) = (now.as_secs(), LEEWAY.as_secs());
        if claims.exp.saturating_add(leeway) <= now {
            return Err(Denied::Wrong("the token has expired; compare the clocks"));
        }
        if claims.nbf > now.saturating_add(leeway) {
            return Err(Denied::Wrong("the token is not valid yet; compare the clocks"));
        }
        let digest = claims.sha256.and_then(|text| STANDARD.decode(text).ok()?.try_into().ok());
        digest.ok_or(Denied::Forbidden("the token is not for a body: it has no claim sha256"))
    }

    /// The claims of a token, if it was signed with the secret of the key that it names.
    fn verified(&self, token: &[u8]) -> Option<Claims> {
        self.keys.iter().find_map(|(name, key)| {
            let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok()?;
            Some(decoded.claims).filter(|claims| claims.iss == *name)
        })
    }
}

/// One `key: secret` per line, as in the file that LiveKit's own option `--key-file` names. At
/// least one.
pub(super) fn keys_of_file(path: &Path) -> Result<Vec<(Secret, Secret)>, AuthError> {
    let mut keys = Vec::new();
    for line in lines_of(path)? {
        let malformed = || AuthError::new(&line.from, "it has to be like \"key: secret\"");
        let (key, secret) = line.text.split_once(':').ok_or_else(malformed)?;
        let part = |text| Secret::new(&line.from, unquoted(text).as_bytes());
        keys.push((part(key)?, part(secret)?));
    }
    Ok(keys)
}

/// Without the blanks and quotes that YAML allows.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let between = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(text)
}
