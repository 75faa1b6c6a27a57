//! Who may post: each method over the wire, and what nobody gets without one.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::client::{Answer, Client, post_head};
use crate::common::{body, cdr};
use crate::daemon::{Daemon, serve, start};
use crate::support::give_inboxes;

const SECRET: &str = "Basic T1BFTlZJRFVBUFA6TVlfU0VDUkVU";

pub fn post(client: &mut Client, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
    client.send(format!("{head}{headers}\r\n{body}").as_bytes()).unwrap();
    client.read("POST").unwrap()
}

pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

fn hmac(key: &str, message: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// As LiveKit signs a body: a JSON Web Token, put together by hand.
pub fn token(key: &str, secret: &str, body: &str) -> String {
    let now = now().as_secs();
    let digest = STANDARD.encode(Sha256::digest(body));
    let claims = json!({"iss": key, "nbf": now, "exp": now + 300, "sha256": digest});
    let [header, claims] = [r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(), claims.to_string()]
        .map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(hmac(secret, &message));
    format!("{message}.{signature}")
}

/// As OpenVidu Meet signs a body: signature and time.
pub fn signature(key: &str, body: &str) -> (String, String) {
    let time = now().as_millis().to_string();
    let mac = hmac(key, &format!("{time}.{body}"));
    (mac.iter().map(|byte| format!("{byte:02x}")).collect(), time)
}

pub fn with_file(directory: &Path, option: &str, text: &str) -> Daemon {
    with_file_and(directory, option, text, &[])
}

pub fn with_file_and(directory: &Path, option: &str, text: &str, options: &[&str]) -> Daemon {
    let file = directory.join("secret");
    std::fs::write(&file, text).unwrap();
    start(&directory.join("cdr"), &[&[option, file.to_str().unwrap()], options].concat())
}

#[test]
fn a_request_without_credentials_is_refused_before_its_body_comes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("Authorization: {SECRET}")).unwrap();
    let options = ["--body-timeout", "1", "--header-file", file.to_str().unwrap()];
    let daemon = start(&directory.path().join("cdr"), &options);
    let mut client = daemon.connect();
    // The body is never sent.
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    let answer = client.read("POST").unwrap();
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "), "{answer:?}");
    daemon.terminate();
    assert_eq!(cdr(&directory.path().join("cdr")), "");
}

#[test]
fn one_who_is_not_let_in_and_never_ends_its_body_loses_the_connection_soon() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("Authorization: {SECRET}")).unwrap();
    let timeouts = ["--body-timeout", "50", "--header-timeout", "50", "--idle-timeout", "50"];
    let options = [&timeouts[..], &["--header-file", file.to_str().unwrap()]].concat();
    let daemon = start(&directory.path().join("cdr"), &options);
    let mut client = daemon.connect();
    let begin = Instant::now();
    client.send(post_head("/", 1000, "{\"event\":").as_bytes()).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 401);
    client.read_to_end().unwrap();
    // A second, not the time that those get who may post.
    assert!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
    daemon.terminate();
}

#[test]
fn headers_are_taken_from_the_environment_as_openvidu_has_them_there() {
    let directory = tempfile::tempdir().unwrap();
    let list = format!("[\"Authorization: {SECRET}\"]");
    let daemon = Daemon::start(serve(directory.path()).env("OPENVIDU_WEBHOOK_HEADERS", list));
    let mut client = daemon.connect();
    assert_eq!(post(&mut client, &[("Authorization", SECRET)], &body(0)).status, 200);
    let answer = post(&mut daemon.connect(), &[("Authorization", "Basic wrong")], &body(1));
    assert_eq!(answer.status, 401);
    daemon.terminate();
    assert_eq!(cdr(directory.path()).lines().count(), 1);
}

#[test]
fn livekit_posts_what_it_has_signed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--livekit-key-file", "other: x\nkey: secret\n");
    let ask = |token: &str, body: &str| {
        post(&mut daemon.connect(), &[("Authorization", token)], body).status
    };
    assert_eq!(ask(&token("key", "secret", &body(0)), &body(0)), 200);
    assert_eq!(ask(&format!("Bearer {}", token("other", "x", &body(1))), &body(1)), 200);
    assert_eq!(ask(&token("key", "secret", &body(2)), &body(3)), 403);
    assert_eq!(ask(&token("key", "wrong", &body(2)), &body(2)), 401);
    assert_eq!(ask(&token("other", "secret", &body(2)), &body(2)), 401);
    daemon.terminate();
    assert_eq!(cdr(&directory.path().join("cdr")).lines().count(), 2);
}

#[test]
fn meet_posts_what_it_has_signed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--meet-key-file", "meet-api-key\n");
    let ask = |(signature, time): &(String, String), body: &str| {
        let headers = [("X-Signature", signature.as_str()), ("X-Timestamp", time.as_str())];
        post(&mut daemon.connect(), &headers, body).status
    };
    assert_eq!(ask(&signature("meet-api-key", &body(0)), &body(0)), 200);
    assert_eq!(ask(&signature("meet-api-key", &body(0)), &body(1)), 401);
    assert_eq!(ask(&signature("another", &body(1)), &body(1)), 401);
    daemon.terminate();
    assert_eq!(cdr(&directory.path().join("cdr")).lines().count(), 1);
}

#[test]
fn reading_the_cdr_needs_what_posting_needs() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--header-file", &format!("Authorization: {SECRET}"));
    let mut client = daemon.connect();
    assert_eq!(post(&mut client, &[("Authorization", SECRET)], &body(0)).status, 200);
    // Prometheus and load balancers have no credentials of media servers, and find no events here.
    assert_eq!(daemon.connect().get("/healthz").status, 200);
    assert_eq!(daemon.connect().get("/metrics").status, 200);
    assert_eq!(daemon.connect().get("/openvidu/cdr").status, 401);
    let list = client.request("GET", "/openvidu/cdr", &[("Authorization", SECRET)]);
    assert_eq!(list.status, 200);
    let path = format!("/openvidu/cdr/{}", list.json()[0].as_str().unwrap());
    assert_eq!(daemon.connect().get(&path).status, 401);
    assert_eq!(client.request("GET", &path, &[("Authorization", SECRET)]).status, 200);
}

#[test]
fn the_metrics_need_credentials_where_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let secret = format!("Authorization: {SECRET}");
    let options = ["--metrics-auth"];
    let daemon = with_file_and(directory.path(), "--header-file", &secret, &options);
    assert_eq!(daemon.connect().get("/metrics").status, 401);
    assert_eq!(daemon.connect().get("/healthz").status, 200);
    let answer = daemon.connect().request("GET", "/metrics", &[("Authorization", SECRET)]);
    assert_eq!(answer.status, 200);
    daemon.terminate();
}

#[test]
fn credentials_of_the_metrics_that_nobody_could_have_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    std::fs::write(&keys, "key: secret").unwrap();
    // Prometheus cannot sign.
    for options in [&[][..], &["--livekit-key-file", keys.to_str().unwrap()]] {
        let mut command = serve(&directory.path().join("cdr"));
        let output = command.arg("--metrics-auth").args(options).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("--metrics-auth needs a header"), "{said}");
    }
}

#[test]
fn a_header_that_everybody_sends_is_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    for header in ["Cache-Control: no-cache", "Sec-Fetch-Mode: cors", "X-Forwarded-Proto: https"] {
        let output = serve(directory.path()).args(["--header", header]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let name = header.split(':').next().unwrap().to_lowercase();
        assert!(said.contains(&name) && said.contains("must be a secret"), "{said}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn without_credentials_only_this_machine_is_served_unless_it_is_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let run = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
        give_inboxes(&mut command);
        command.args(["serve", "--listen", "0.0.0.0:0", "--log-form", "json", "--dir"]);
        command.arg(directory.path()).args(options);
        command
    };
    let output = run(&[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
    assert!(said.contains("--no-auth"), "{said}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    Daemon::start(&mut run(&["--no-auth"])).terminate();
    Daemon::start(run(&[]).env("OPENVIDU_WEBHOOK_HEADERS", "[\"X-Token: a\"]")).terminate();
}

/// What a new event gets with this token.
fn status_with(daemon: &Daemon, token: &str) -> u16 {
    let body = format!(r#"{{"event":"e","at":{}}}"#, now().as_nanos());
    post(&mut daemon.connect(), &[("X-Token", token)], &body).status
}

#[test]
fn a_secret_is_read_anew_on_sighup_and_a_bad_file_keeps_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--header-file", "X-Token: old");
    let status = |token: &str| status_with(&daemon, token);
    assert_eq!([status("old"), status("new")], [200, 401]);
    std::fs::write(directory.path().join("secret"), "X-Token: new").unwrap();
    daemon.signal("HUP");
    crate::daemon::wait_for("the new secret", || (status("new") == 200).then_some(()));
    assert_eq!(status("old"), 401);
    std::fs::write(directory.path().join("secret"), "").unwrap();
    daemon.signal("HUP");
    daemon.wait_until_it_says("the secret is empty");
    assert_eq!(status("new"), 200);
    daemon.terminate();
}

#[test]
fn a_secret_that_changes_is_used_without_a_signal_and_a_bad_file_keeps_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--header-file", "X-Token: old");
    let status = |token: &str| status_with(&daemon, token);
    assert_eq!([status("old"), status("new")], [200, 401]);
    std::fs::write(directory.path().join("secret"), "X-Token: new").unwrap();
    daemon.wait_until_it_says("the credentials have changed");
    assert_eq!([status("old"), status("new")], [401, 200]);
    std::fs::remove_file(directory.path().join("secret")).unwrap();
    daemon.wait_until_it_says("the credentials stay as they were");
    assert_eq!(status("new"), 200);
    daemon.terminate();
}

#[test]
fn no_secret_header_or_body_is_logged() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = serve(directory.path());
    command.env("OPENVIDU_WEBHOOK_HEADERS", "X-Token: in-the-environment").args(["--log", "debug"]);
    let daemon = Daemon::start(&mut command);
    let event = r#"{"event":"in-the-body"}"#;
    for (token, body) in [
        ("in-the-environment", event),
        ("in-a-header", event),
        ("in-the-environment", "in-a-reject"),
    ] {
        post(&mut daemon.connect(), &[("X-Token", token)], body);
    }
    daemon.signal("TERM");
    let said = daemon.end().1.join("\n");
    for secret in ["in-the-environment", "in-a-header", "in-the-body", "in-a-reject"] {
        assert!(!said.contains(secret), "{said}");
    }
}
