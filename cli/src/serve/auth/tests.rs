//! Vectors made by other programs: tokens by PyJWT 2.15, signatures by Node's `crypto`.

use std::fs;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::{Auth, AuthError, Denied, Sources};

/// An event of LiveKit.
const BODY: &[u8] = br#"{"event":"room_started","room":{"sid":"RM_hycBMAjmt6Ub","name":"Demo Room","emptyTimeout":300,"creationTime":"1692627281"},"id":"EV_eugWmGhovZmm","createdAt":"1692985556"}"#;
const SECRET: &str = "a-livekit-secret-of-32-bytes-long";
/// Valid for `BODY` from 1692985556 for five minutes.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJBUElhYmNkZWZnaCIsImV4cCI6MTY5Mjk4NTg1NiwibmJmIjoxNjkyOTg1NTU2LCJzaGEyNTYiOiJFd3F5ZERwLzRBVDFSQUNiaDZTYzFySTR1VkdNUktrQXJYSTBjWEQvZU5BPSIsInZpZGVvIjp7fSwic3ViIjoiIn0.evMa7QTnIBPb5kcZPRF7N2u0f97brOkARNNu4BQqYyw";
/// The same claims, not signed: `alg` is `none`.
const TOKEN_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpc3MiOiJBUElhYmNkZWZnaCIsImV4cCI6MTY5Mjk4NTg1NiwibmJmIjoxNjkyOTg1NTU2LCJzaGEyNTYiOiJFd3F5ZERwLzRBVDFSQUNiaDZTYzFySTR1VkdNUktrQXJYSTBjWEQvZU5BPSIsInZpZGVvIjp7fSwic3ViIjoiIn0.";
/// The token of a participant, signed with the same secret.
const TOKEN_JOIN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJBUElhYmNkZWZnaCIsImV4cCI6MTY5Mjk4NTg1NiwibmJmIjoxNjkyOTg1NTU2LCJzdWIiOiJ1c2VyIiwidmlkZW8iOnsicm9vbSI6IkRlbW8gUm9vbSIsInJvb21Kb2luIjp0cnVlfX0.FxhSYrXqfbAKv60zL0GROe-R3UE8muyC6zoDy5dirIk";
/// In seconds.
const SIGNED_AT: u64 = 1_692_985_556;

/// With the key `meet-api-key`, at 1692985556000.
const MEET_BODY: &str = r#"{"event":"meetingStarted","creationDate":1692985556000,"data":{"roomId":"room-abc123","roomName":"Réunion"}}"#;
const MEET_SIGNATURE: &str = "ca6cd7752060dab85bd6542a71666f83a2e351c304bea0700583b201677fbe8f";

const WRONG: u16 = 401;
const FORBIDDEN: u16 = 403;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        map.append(name, value);
    }
    map
}

/// With an empty environment.
fn load(sources: &Sources<'_>) -> Result<Auth, AuthError> {
    Auth::load_with(sources, |_| None)
}

fn ask(auth: &Auth, pairs: &[(&str, &str)], body: &[u8], at: u64) -> Result<(), Denied> {
    let now = Duration::from_secs(at);
    auth.check_headers_at(&headers(pairs), now).and_then(|check| check.check(body))
}

fn refused(auth: &Auth, pairs: &[(&str, &str)], body: &[u8], at: u64) -> u16 {
    ask(auth, pairs, body, at).unwrap_err().status().as_u16()
}

fn with_headers(list: &[&str]) -> Result<Auth, String> {
    let headers: Vec<_> = list.iter().map(|text| (*text).to_owned()).collect();
    load(&Sources { headers: &headers, ..Sources::default() }).map_err(|error| error.to_string())
}

fn with_file(
    text: &str,
    sources: impl FnOnce(&std::path::Path) -> Result<Auth, String>,
) -> Result<Auth, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    sources(file.path()).map_err(|error| error.replace(&file.path().display().to_string(), "FILE"))
}

fn with_livekit_keys(text: &str) -> Result<Auth, String> {
    with_file(text, |path| {
        let sources = Sources { livekit_key_file: Some(path), ..Sources::default() };
        load(&sources).map_err(|error| error.to_string())
    })
}

fn with_meet_keys(text: &str) -> Result<Auth, String> {
    with_file(text, |path| {
        let sources = Sources { meet_key_file: Some(path), ..Sources::default() };
        load(&sources).map_err(|error| error.to_string())
    })
}

fn livekit() -> Auth {
    with_livekit_keys(&format!("APIabcdefgh: {SECRET}\n")).unwrap()
}

#[test]
fn without_a_method_everybody_passes() {
    let auth = Auth::default();
    assert!(auth.is_open());
    assert_eq!(ask(&auth, &[], b"x", 0), Ok(()));
}

#[test]
fn a_request_without_credentials_is_refused_before_its_body_is_read() {
    let header = with_headers(&["Authorization: Basic abc="]).unwrap();
    let meet = with_meet_keys("meet-api-key").unwrap();
    for auth in [header, livekit(), meet] {
        let denied = auth.check_headers(&HeaderMap::new()).unwrap_err();
        assert_eq!((denied, denied.status().as_u16()), (Denied::Missing, WRONG));
        assert!(!auth.is_open() && !auth.challenges().is_empty());
    }
}

#[test]
fn a_header_must_have_exactly_the_value_that_is_configured() {
    let auth = with_headers(&["Authorization: Basic T1BFTlZJRFVBUFA6TVlfU0VDUkVU"]).unwrap();
    let given = |value| ask(&auth, &[("authorization", value)], b"", 0);
    assert_eq!(given("Basic T1BFTlZJRFVBUFA6TVlfU0VDUkVU"), Ok(()));
    for value in [
        "",
        "Basic",
        "Basic T1BFTlZJRFVBUFA6TVlfU0VDUkV",
        "Basic T1BFTlZJRFVBUFA6TVlfU0VDUkVUx",
        "T1BFTlZJRFVBUFA6TVlfU0VDUkVU",
    ] {
        assert_eq!(given(value), Err(Denied::Wrong("the credentials are wrong")), "{value}");
    }
}

#[test]
fn all_names_are_needed_and_one_value_of_each() {
    let auth = with_headers(&[
        r#"["Authorization: Basic one=","Content-Type: application/json"]"#,
        "Authorization: Bearer two",
        "X-Token:three",
    ])
    .unwrap();
    let json = ("content-type", "application/json");
    let token = ("x-token", "three");
    for value in ["Basic one=", "Bearer two"] {
        assert_eq!(ask(&auth, &[("authorization", value), json, token], b"", 0), Ok(()));
        assert_eq!(refused(&auth, &[("authorization", value), json], b"", 0), WRONG);
        assert_eq!(refused(&auth, &[("authorization", value), token], b"", 0), WRONG);
    }
    assert_eq!(refused(&auth, &[json, token], b"", 0), WRONG);
    assert_eq!(ask(&auth, &[json], b"", 0), Err(Denied::Missing));
    let twice = [("authorization", "Basic one="), ("authorization", "Basic one="), json, token];
    assert_eq!(refused(&auth, &twice, b"", 0), WRONG);
}

#[test]
fn headers_come_from_a_file_too_with_line_ends_and_comments() {
    let text =
        "# of the old server\r\nAuthorization: Basic old=\r\n\r\nAuthorization: Basic new=\r\n";
    let auth = with_file(text, |path| {
        let sources = Sources { header_file: Some(path), ..Sources::default() };
        load(&sources).map_err(|error| error.to_string())
    })
    .unwrap();
    for value in ["Basic old=", "Basic new="] {
        assert_eq!(ask(&auth, &[("authorization", value)], b"", 0), Ok(()));
    }
}

#[test]
fn secrets_that_are_empty_or_none_are_refused_by_name() {
    for (list, message) in [
        (&["Authorization"][..], r#"it has to be like "Authorization: Basic abc=""#),
        (&["Authorization: Basic "], "the secret of authorization is empty"),
        (&["X-Token:  "], "the secret of x-token is empty"),
        (&["a b: c"], r#"it has to be like "Authorization: Basic abc=""#),
        (&["[1]"], r#"it is not a list like ["Name: value"]"#),
        (
            &[r#"["Content-Type: application/json"]"#],
            "everybody may send content-type; one header must be a secret, such as \
             \"Authorization: Basic …\"",
        ),
    ] {
        let message = format!("--header or OPENVIDU_WEBHOOK_HEADERS: {message}");
        assert_eq!(with_headers(list).unwrap_err(), message);
    }
    assert_eq!(
        with_livekit_keys("\n").unwrap_err(),
        "--livekit-key-file FILE: the secret is empty"
    );
    assert_eq!(
        with_livekit_keys("# a\nkey:\n").unwrap_err(),
        "--livekit-key-file FILE, line 2: the secret is empty"
    );
    assert_eq!(
        with_livekit_keys("key").unwrap_err(),
        r#"--livekit-key-file FILE, line 1: it has to be like "key: secret""#
    );
    assert_eq!(with_meet_keys("").unwrap_err(), "--meet-key-file FILE: the secret is empty");
    let missing = Sources { meet_key_file: Some("/no/such/file".as_ref()), ..Sources::default() };
    let message = load(&missing).unwrap_err().to_string();
    assert!(message.starts_with("--meet-key-file /no/such/file: cannot be read: "), "{message}");
}

#[test]
fn headers_that_browsers_proxies_and_libraries_send_are_no_secrets() {
    for name in [
        "Cache-Control",
        "Accept-Language",
        "Sec-Fetch-Site",
        "X-Forwarded-For",
        "If-None-Match",
        "Origin",
        "Pragma",
        "X-Requested-With",
        "Te",
        "Via",
    ] {
        assert!(with_headers(&[&format!("{name}: any")]).is_err(), "{name}");
        let auth = with_headers(&[&format!("{name}: any"), "X-Token: three"]).unwrap();
        let given = ask(&auth, &[(name, "any")], b"", 0);
        assert_eq!(given, Err(Denied::Missing), "{name}");
    }
    for name in ["Authorization", "Cookie", "X-Token", "Api-Key", "Securetoken", "Iffy"] {
        assert!(with_headers(&[&format!("{name}: any")]).is_ok(), "{name}");
    }
}

#[test]
fn nothing_prints_a_secret() {
    let header = with_headers(&["Authorization: Basic abc="]).unwrap();
    let printed = format!("{header:?} {:?} {:?}", livekit(), with_meet_keys("meet-api-key"));
    for secret in ["abc=", SECRET, "meet-api-key"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_token_of_livekit_passes_with_the_body_that_it_was_signed_for() {
    let auth = livekit();
    for value in [TOKEN.to_owned(), format!("Bearer {TOKEN}"), format!("bearer {TOKEN}")] {
        assert_eq!(
            ask(&auth, &[("authorization", &value)], BODY, SIGNED_AT + 1),
            Ok(()),
            "{value}"
        );
    }
    let mut body = BODY.to_vec();
    body[20] ^= 1;
    assert_eq!(refused(&auth, &[("authorization", TOKEN)], &body, SIGNED_AT), FORBIDDEN);
    assert_eq!(refused(&auth, &[("authorization", TOKEN)], b"", SIGNED_AT), FORBIDDEN);
}

#[test]
fn the_clocks_may_be_a_minute_apart() {
    let auth = livekit();
    let given = |at| ask(&auth, &[("authorization", TOKEN)], BODY, at);
    assert_eq!(given(SIGNED_AT - 60), Ok(()));
    assert_eq!(given(SIGNED_AT + 300 + 59), Ok(()));
    let early = given(SIGNED_AT - 61).unwrap_err();
    assert_eq!(early, Denied::Wrong("the token is not valid yet; compare the clocks"));
    let late = given(SIGNED_AT + 300 + 60).unwrap_err();
    assert_eq!(late, Denied::Wrong("the token has expired; compare the clocks"));
}

#[test]
fn a_participant_cannot_post_with_the_token_it_joins_with() {
    let denied = ask(&livekit(), &[("authorization", TOKEN_JOIN)], BODY, SIGNED_AT).unwrap_err();
    assert_eq!(denied.status().as_u16(), FORBIDDEN);
}

#[test]
fn tokens_of_other_keys_and_algorithms_and_torn_ones_are_refused() {
    let auth = livekit();
    let wrong = |value: &str| refused(&auth, &[("authorization", value)], BODY, SIGNED_AT);
    assert_eq!(wrong(TOKEN_NONE), WRONG);
    for value in [
        "",
        "Bearer ",
        "Bearer",
        ".",
        "..",
        "...",
        "a.b.c",
        "Basic abc=",
        &TOKEN[1..],
        &TOKEN[..TOKEN.len() - 1],
    ] {
        assert_eq!(wrong(value), WRONG, "{value}");
    }
    let claims = json!({"iss": "APIabcdefgh", "exp": SIGNED_AT, "sha256": "x"});
    let header = Header::new(Algorithm::HS256);
    let signed = |claims, secret: &str| {
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes()))
            .unwrap()
    };
    assert_eq!(wrong(&signed(claims.clone(), "another")), WRONG);
    assert_eq!(wrong(&signed(claims, SECRET)), FORBIDDEN, "it is no base64 of a SHA-256");
    for claims in [
        json!({"iss": "another", "exp": SIGNED_AT, "sha256": "x"}),
        json!({"iss": "APIabcdefgh", "sha256": "x"}),
        json!({"iss": "APIabcdefgh", "exp": -1, "sha256": "x"}),
        json!({"exp": SIGNED_AT, "sha256": "x"}),
        json!([]),
    ] {
        assert_eq!(wrong(&signed(claims, SECRET)), WRONG);
    }
}

#[test]
fn several_keys_of_livekit_are_possible_and_each_has_its_own_secret() {
    let auth = with_livekit_keys(&format!("other: x\n\"APIabcdefgh\": '{SECRET}'\n")).unwrap();
    assert_eq!(ask(&auth, &[("authorization", TOKEN)], BODY, SIGNED_AT), Ok(()));
    let auth = with_livekit_keys(&format!("APIabcdefgh: x\nother: {SECRET}\n")).unwrap();
    assert_eq!(refused(&auth, &[("authorization", TOKEN)], BODY, SIGNED_AT), WRONG);
}

#[test]
fn a_signature_of_meet_passes_with_its_body_and_time() {
    let auth = with_meet_keys("another\nmeet-api-key\r\n").unwrap();
    let pairs = [("x-signature", MEET_SIGNATURE), ("x-timestamp", "1692985556000")];
    for at in [SIGNED_AT - 120, SIGNED_AT, SIGNED_AT + 120] {
        assert_eq!(ask(&auth, &pairs, MEET_BODY.as_bytes(), at), Ok(()));
    }
    for at in [SIGNED_AT - 121, SIGNED_AT + 121] {
        assert_eq!(refused(&auth, &pairs, MEET_BODY.as_bytes(), at), WRONG);
    }
    assert_eq!(refused(&auth, &pairs, b"{}", SIGNED_AT), WRONG);
    let later = [("x-signature", MEET_SIGNATURE), ("x-timestamp", "1692985556001")];
    assert_eq!(refused(&auth, &later, MEET_BODY.as_bytes(), SIGNED_AT), WRONG);
    let other = with_meet_keys("another").unwrap();
    assert_eq!(refused(&other, &pairs, MEET_BODY.as_bytes(), SIGNED_AT), WRONG);
}

#[test]
fn malformed_headers_of_meet_are_refused_before_the_body_is_read() {
    let auth = with_meet_keys("meet-api-key").unwrap();
    let upper = MEET_SIGNATURE.to_uppercase();
    for (signature, timestamp) in [
        ("", "1692985556000"),
        (&MEET_SIGNATURE[1..], "1692985556000"),
        (&format!("{MEET_SIGNATURE}00"), "1692985556000"),
        (&MEET_SIGNATURE.replace('c', "g"), "1692985556000"),
        (MEET_SIGNATURE, ""),
        (MEET_SIGNATURE, "+1692985556000"),
        (MEET_SIGNATURE, "1692985556000 "),
        (MEET_SIGNATURE, "99999999999999999999"),
        (MEET_SIGNATURE, "1692985556"),
    ] {
        let pairs = headers(&[("x-signature", signature), ("x-timestamp", timestamp)]);
        let denied = auth.check_headers_at(&pairs, Duration::from_secs(SIGNED_AT)).unwrap_err();
        assert_eq!(denied.status().as_u16(), WRONG, "{signature} {timestamp}");
    }
    let pairs = [("x-signature", &upper[..]), ("x-timestamp", "1692985556000")];
    assert_eq!(ask(&auth, &pairs, MEET_BODY.as_bytes(), SIGNED_AT), Ok(()));
    assert_eq!(refused(&auth, &pairs[..1], MEET_BODY.as_bytes(), SIGNED_AT), WRONG);
}

#[test]
fn one_method_of_several_is_enough() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let keys = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "meet-api-key").unwrap();
    fs::write(keys.path(), format!("APIabcdefgh: {SECRET}")).unwrap();
    let sources = Sources {
        headers: &["Authorization: Basic abc=".to_owned()],
        livekit_key_file: Some(keys.path()),
        meet_key_file: Some(file.path()),
        ..Sources::default()
    };
    let auth = load(&sources).unwrap();
    assert_eq!(auth.methods(), ["header", "livekit", "meet"]);
    let meet = [("x-signature", MEET_SIGNATURE), ("x-timestamp", "1692985556000")];
    assert_eq!(ask(&auth, &[("authorization", "Basic abc=")], b"", SIGNED_AT), Ok(()));
    assert_eq!(ask(&auth, &[("authorization", TOKEN)], BODY, SIGNED_AT), Ok(()));
    assert_eq!(ask(&auth, &meet, MEET_BODY.as_bytes(), SIGNED_AT), Ok(()));
    assert_eq!(refused(&auth, &[("authorization", "Basic x")], b"", SIGNED_AT), WRONG);
    let challenges: Vec<_> =
        auth.challenges().iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    assert_eq!(
        challenges,
        [r#"Basic realm="cdrlog", charset="UTF-8""#, r#"Bearer realm="cdrlog""#]
    );
}

#[test]
fn secrets_of_the_environment_are_taken_where_no_file_is_given() {
    let load = |pairs: &[(&str, &str)]| {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
        Auth::load_with(&Sources::default(), |name| find(name).map(|(_, value)| value.into()))
    };
    let livekit = load(&[("LIVEKIT_API_KEY", "APIabcdefgh"), ("LIVEKIT_API_SECRET", SECRET)]);
    assert_eq!(ask(&livekit.unwrap(), &[("authorization", TOKEN)], BODY, SIGNED_AT), Ok(()));
    let meet = load(&[("OV_MEET_API_KEY", "meet-api-key\n")]).unwrap();
    let pairs = [("x-signature", MEET_SIGNATURE), ("x-timestamp", "1692985556000")];
    assert_eq!(ask(&meet, &pairs, MEET_BODY.as_bytes(), SIGNED_AT), Ok(()));
    let empty = load(&[("LIVEKIT_API_KEY", "a"), ("LIVEKIT_API_SECRET", "\n")]).unwrap_err();
    assert_eq!(empty.to_string(), "$LIVEKIT_API_SECRET: the secret is empty");
    let half = load(&[("LIVEKIT_API_KEY", "a")]).unwrap_err();
    assert_eq!(half.to_string(), "$LIVEKIT_API_SECRET: it is missing, and $LIVEKIT_API_KEY is set");
}
