//! Who may post: fixed headers, LiveKit's signed token, OpenVidu Meet's signature.
//!
//! A request must pass one of the configured methods. What its headers can prove is checked before
//! the body is read, so that nobody without a secret makes the server read one:
//! [`Auth::check_headers`] returns a [`BodyCheck`], which then says whether the body is the one
//! that was signed. No secret is logged or printed, and secrets are compared in constant time.

mod header;
mod hs256;
mod livekit;
mod meet;
mod password;
mod secret;
#[cfg(test)]
mod tests;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::header::HeaderRules;
use self::livekit::LiveKit;
use self::meet::{Meet, Signed};
pub(super) use self::password::{Password, Passwords};
pub(super) use self::secret::AuthError;
use self::secret::Secret;
use super::permissions::is_readable_by_others;
use super::refusals::{Reason, Refusal};

/// The environment variables that hold a secret themselves; those of the options name files.
const LIVEKIT_API_KEY: &str = "LIVEKIT_API_KEY";
const LIVEKIT_API_SECRET: &str = "LIVEKIT_API_SECRET";
const MEET_API_KEY: &str = "OV_MEET_API_KEY";

/// Where to find the credentials that a request may have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sources<'a> {
    /// Headers as `Name: value`, or as OpenVidu writes a list of them: `["Name: value"]`.
    pub(super) headers: &'a [String],
    /// A file of such headers, one per line.
    pub(super) header_file: Option<&'a Path>,
    /// A file of LiveKit's API keys, one `key: secret` per line. Without it, `LIVEKIT_API_KEY` and
    /// `LIVEKIT_API_SECRET` of the environment are used, if both are set.
    pub(super) livekit_key_file: Option<&'a Path>,
    /// A file of OpenVidu Meet's API keys, one per line. Without it, `OV_MEET_API_KEY` of the
    /// environment is used.
    pub(super) meet_key_file: Option<&'a Path>,
}

/// What a request must have. Without any method, everybody passes.
#[derive(Debug, Default)]
pub(super) struct Auth {
    headers: HeaderRules,
    livekit: Option<LiveKit>,
    meet: Option<Arc<Meet>>,
    /// The files of secrets that other users can read.
    exposed_files: Vec<PathBuf>,
}

/// The header by which a proxy vouches for whoever looks at the page.
#[derive(Debug)]
pub(super) struct ProxyHeader(HeaderRules);

impl ProxyHeader {
    /// `text` is `Name: value`, the value of this option.
    pub(super) fn new(option: &str, text: &str) -> Result<Self, AuthError> {
        HeaderRules::of_option(option, text).map(Self)
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        self.0.check(headers)
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It has no credentials at all.
    Missing,
    /// Its credentials are not valid.
    Wrong(&'static str),
    /// Its credentials are valid, but for something other than this request.
    Forbidden(&'static str),
}

impl Denied {
    /// RFC 9110: 401 if credentials are missing or not valid, with a challenge; 403 if they are
    /// valid but do not suffice.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Wrong(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
        }
    }

    pub(super) fn refusal(self) -> Refusal {
        let reason = match self {
            Self::Missing => Reason::CredentialsMissing,
            Self::Wrong(_) => Reason::CredentialsWrong,
            Self::Forbidden(_) => Reason::CredentialsForAnother,
        };
        Refusal::new(reason, self.reason())
    }

    /// A sentence for the answer and the log. It contains nothing from the request.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "credentials are missing",
            Self::Wrong(reason) | Self::Forbidden(reason) => reason,
        }
    }
}

/// What remains to be checked once the body has been read.
#[derive(Debug)]
#[must_use = "a signed body is not checked yet"]
pub(super) struct BodyCheck {
    /// The headers alone were enough.
    passed: bool,
    /// The SHA-256 that LiveKit's token is for.
    livekit: Option<[u8; 32]>,
    meet: Option<(Arc<Meet>, Signed)>,
}

impl BodyCheck {
    /// Whether the headers prove a secret. If not, anybody can send what they contain, and only the
    /// body decides.
    pub(super) fn is_verified(&self) -> bool {
        self.passed || self.livekit.is_some()
    }

    /// Whether `body`, as received, is the one that the headers vouch for. Requests without a body
    /// are checked with an empty one.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), Denied> {
        if self.passed {
            return Ok(());
        }
        if let Some(expected) = &self.livekit
            && bool::from(Sha256::digest(body).as_slice().ct_eq(expected))
        {
            return Ok(());
        }
        if let Some((meet, signed)) = &self.meet
            && meet.check(signed, body)
        {
            return Ok(());
        }
        match self.livekit {
            Some(_) => Err(Denied::Forbidden("the token was signed for another body")),
            None => Err(Denied::Wrong("x-signature does not fit the body and x-timestamp")),
        }
    }
}

/// An API key of LiveKit. It is never printed.
pub(crate) struct LiveKitKey {
    pub(crate) name: String,
    pub(crate) secret: Vec<u8>,
}

/// LiveKit's API key and its secret, to sign requests to it: from the first line of `file`, or from
/// the environment. `None` if neither has one.
///
/// # Errors
///
/// The file cannot be used, or there is a key without a secret.
pub(crate) fn livekit_key(file: Option<&Path>) -> Result<Option<LiveKitKey>, Box<dyn Error>> {
    let variable =
        |name: &str| env::var_os(name).map(|value| Secret::of_variable(name, &value)).transpose();
    let of_option = |error: AuthError| error.of_option("--livekit-key-file");
    let pair = match file {
        Some(path) => livekit::keys_of_file(path).map_err(of_option)?.into_iter().next(),
        None => livekit_variables(&variable)?,
    };
    let key = |(name, secret): (Secret, Secret)| LiveKitKey {
        name: String::from_utf8_lossy(name.expose()).into_owned(),
        secret: secret.expose().to_vec(),
    };
    Ok(pair.map(key))
}

/// What LiveKit's own variables in the environment say.
fn livekit_variables(
    variable: &impl Fn(&str) -> Result<Option<Secret>, AuthError>,
) -> Result<Option<(Secret, Secret)>, AuthError> {
    match (variable(LIVEKIT_API_KEY)?, variable(LIVEKIT_API_SECRET)?) {
        (Some(key), Some(secret)) => Ok(Some((key, secret))),
        (Some(_), None) => {
            let fault = format!("it is missing, and ${LIVEKIT_API_KEY} is set");
            Err(AuthError::new(format!("${LIVEKIT_API_SECRET}"), fault))
        }
        (None, _) => Ok(None),
    }
}

impl Auth {
    /// Reads the secrets. A later call reads them again.
    pub(super) fn load(sources: &Sources<'_>) -> Result<Self, AuthError> {
        Self::load_with(sources, |name| env::var_os(name))
    }

    fn load_with(
        sources: &Sources<'_>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, AuthError> {
        let variable = |name: &str| {
            environment(name).map(|value| Secret::of_variable(name, &value)).transpose()
        };
        let headers = HeaderRules::load(sources.headers, sources.header_file)?;
        let livekit = match sources.livekit_key_file {
            Some(path) => Some(
                LiveKit::from_file(path).map_err(|error| error.of_option("--livekit-key-file"))?,
            ),
            None => livekit_variables(&variable)?.map(|pair| LiveKit::new([pair])).transpose()?,
        };
        let meet = match sources.meet_key_file {
            Some(path) => {
                Some(Meet::from_file(path).map_err(|error| error.of_option("--meet-key-file"))?)
            }
            None => variable(MEET_API_KEY)?.map(|key| Meet::new([key])).transpose()?,
        };
        let files = [sources.header_file, sources.livekit_key_file, sources.meet_key_file];
        // They have just been read. What cannot be examined any more, nobody can read.
        let is_exposed =
            |path: &&Path| path.metadata().is_ok_and(|file| is_readable_by_others(&file));
        let exposed_files =
            files.into_iter().flatten().filter(is_exposed).map(Path::to_owned).collect();
        Ok(Self { headers, livekit, meet: meet.map(Arc::new), exposed_files })
    }

    /// The files of secrets that other users can read, for the log.
    pub(super) fn exposed_files(&self) -> &[PathBuf] {
        &self.exposed_files
    }

    /// Whether a request without a body can have the required credentials: LiveKit and Meet sign
    /// bodies.
    pub(super) fn has_header(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Whether everybody may post because no method is configured.
    pub(super) fn is_open(&self) -> bool {
        self.headers.is_empty() && self.livekit.is_none() && self.meet.is_none()
    }

    /// The configured methods, for the log.
    pub(super) fn methods(&self) -> Vec<&'static str> {
        let mut methods = Vec::new();
        if !self.headers.is_empty() {
            methods.push("header");
        }
        if self.livekit.is_some() {
            methods.push("livekit");
        }
        if self.meet.is_some() {
            methods.push("meet");
        }
        methods
    }

    /// The challenges of a 401, each for a `WWW-Authenticate` field of its own. RFC 9110 requires
    /// at least one and has no scheme for signatures and custom headers: `Webhook` stands for them.
    pub(super) fn challenges(&self) -> Vec<HeaderValue> {
        let mut schemes = self.headers.schemes();
        if self.livekit.is_some() && !schemes.contains(&"Bearer") {
            schemes.push("Bearer");
        }
        if schemes.is_empty() {
            schemes.push("Webhook");
        }
        let challenge = |scheme| match scheme {
            "Basic" => HeaderValue::from_static(r#"Basic realm="cdrlog", charset="UTF-8""#),
            "Bearer" => HeaderValue::from_static(r#"Bearer realm="cdrlog""#),
            _ => HeaderValue::from_static(r#"Webhook realm="cdrlog""#),
        };
        schemes.into_iter().map(challenge).collect()
    }

    /// Checks what can be checked before the body is read.
    pub(super) fn check_headers(&self, headers: &HeaderMap) -> Result<BodyCheck, Denied> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.check_headers_at(headers, now)
    }

    /// The same at the time `now`, counted from 1970.
    pub(super) fn check_headers_at(
        &self,
        headers: &HeaderMap,
        now: Duration,
    ) -> Result<BodyCheck, Denied> {
        let mut check = BodyCheck { passed: self.is_open(), livekit: None, meet: None };
        let mut denied = Denied::Missing;
        if !self.headers.is_empty() {
            match self.headers.check(headers) {
                Ok(()) => check.passed = true,
                Err(reason) => denied = reason,
            }
        }
        if let Some(livekit) = &self.livekit {
            match sole(headers, &AUTHORIZATION).and_then(|token| livekit.check(token, now)) {
                Ok(expected) => check.livekit = Some(expected),
                Err(Denied::Missing) => {}
                Err(reason) => denied = reason,
            }
        }
        if let Some(meet) = &self.meet {
            match Signed::of(headers, now) {
                Ok(signed) => check.meet = Some((Arc::clone(meet), signed)),
                Err(Denied::Missing) => {}
                Err(reason) => denied = reason,
            }
        }
        if check.passed || check.livekit.is_some() || check.meet.is_some() {
            Ok(check)
        } else {
            Err(denied)
        }
    }
}

/// The value of a header that may occur only once. A repeated one is refused: a proxy between
/// sender and server may have looked at the other value.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], Denied> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Denied::Missing),
        (Some(value), None) => Ok(value.as_bytes()),
        (Some(_), Some(_)) => Err(Denied::Wrong("a header of the credentials is there twice")),
    }
}
