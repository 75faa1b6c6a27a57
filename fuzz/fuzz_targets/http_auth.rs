//! Any header values and bodies: exactly those get in who have a secret, and nothing panics.
//!
//! Some inputs are signed with the right secret, so that the fuzzer gets behind the signatures.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cdrlog_cli::fuzzing::Credentials as Configured;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use sha2::{Digest, Sha256};

const LIVEKIT_SECRET: &str = "livekit-secret";
const MEET_KEY: &str = "meet-api-key";

static CONFIGURED: LazyLock<Configured> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    let (livekit, meet) = (directory.path().join("livekit"), directory.path().join("meet"));
    std::fs::write(&livekit, format!("other: other\nkey: {LIVEKIT_SECRET}\n")).expect("a file");
    std::fs::write(&meet, format!("other\n{MEET_KEY}\n")).expect("a file");
    let headers = ["Authorization: Basic c2VjcmV0".to_owned(), "X-Token: secret".to_owned()];
    Configured::load(&headers, &livekit, &meet).expect("credentials")
});

#[derive(Arbitrary, Debug)]
struct Request<'a> {
    credentials: Credentials<'a>,
    now_seconds: u32,
    body: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Credentials<'a> {
    /// Of `authorization`, `x-token`, `x-signature` and `x-timestamp`.
    Values([Option<&'a [u8]>; 4]),
    /// Header and claims of a token that is signed.
    Token(&'a [u8], &'a [u8]),
    /// A token of the body, with these times.
    Times { exp: u64, nbf: u64 },
    /// Meet's signature of the body.
    Signature { milliseconds: u64 },
}

fn hmac(key: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn token(header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac(LIVEKIT_SECRET, &[message.as_bytes()]));
    format!("{message}.{signature}")
}

/// The headers of a request, and whether it must pass.
fn headers(request: &Request<'_>) -> (HeaderMap, bool) {
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let digest = STANDARD.encode(Sha256::digest(request.body));
    let now = u64::from(request.now_seconds);
    let must_pass = match request.credentials {
        Credentials::Values(values) => {
            let names = ["authorization", "x-token", "x-signature", "x-timestamp"];
            for (name, value) in names.into_iter().zip(values) {
                value.into_iter().for_each(|value| set(name, value));
            }
            // No signature is right by chance.
            values[0] == Some(b"Basic c2VjcmV0") && values[1] == Some(b"secret")
        }
        Credentials::Token(header, claims) => {
            set("authorization", token(header, claims).as_bytes());
            // No claims hold the digest of the body by chance.
            false
        }
        Credentials::Times { exp, nbf } => {
            let claims = format!(r#"{{"iss":"key","exp":{exp},"nbf":{nbf},"sha256":"{digest}"}}"#);
            set("authorization", token(br#"{"alg":"HS256"}"#, claims.as_bytes()).as_bytes());
            exp.saturating_add(60) > now && nbf <= now + 60
        }
        Credentials::Signature { milliseconds } => {
            let time = milliseconds.to_string();
            let mac = hmac(MEET_KEY, &[time.as_bytes(), b".", request.body]);
            let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            set("x-signature", hex.as_bytes());
            set("x-timestamp", time.as_bytes());
            milliseconds.abs_diff(now * 1000) <= 120_000
        }
    };
    (headers, must_pass)
}

libfuzzer_sys::fuzz_target!(|request: Request<'_>| {
    let (headers, must_pass) = headers(&request);
    let now = Duration::from_secs(request.now_seconds.into());
    let checked = CONFIGURED.check(&headers, request.body, now);
    assert_eq!(checked.is_ok(), must_pass, "{checked:?}");
});
