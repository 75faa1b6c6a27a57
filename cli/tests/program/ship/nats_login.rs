//! To NATS with TLS and with credentials of each kind; what is wrong with them is one sentence with the
//! way out, and no secret is told.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::jetstream::Client;
use super::nats::{server_with, to, to_port, without_credentials};
use super::servers::Server;
use super::{append_events, record, ship};
use crate::run::{Run, cdrlog, run};

/// The sentence of a refusal, which comes at once.
#[track_caller]
fn expect_refusal(command: &mut Command, told: &[&str]) -> Run {
    let begin = Instant::now();
    let ended = run(command.arg("--once")).expect(1, told);
    assert!(begin.elapsed() < Duration::from_secs(15), "it was tried again: {ended:?}");
    let errors = ended.stderr.lines().filter(|line| line.contains("127.0.0.1")).count();
    assert!(errors <= 1, "more than one sentence: {ended:?}");
    ended
}

/// A pair of nkeys; the seed is of no use elsewhere.
const SEED: &str = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
const PUBLIC: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

#[test]
fn credentials_come_from_files_or_the_environment_and_are_never_told() {
    let users = format!(
        "authorization {{ users: [\
           {{ user: cdr, password: hunter2hunter2 }},\
           {{ user: reader, password: r, permissions: {{ publish: [\"$JS.API.>\"] }} }},\
           {{ nkey: {PUBLIC} }} ] }}"
    );
    let Some(server) = server_with(&users) else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..10, "0");
    let with = |user: &str, password: &str| {
        let mut command = to(&server, directory);
        command.env("NATS_USER", user).env("NATS_PASSWORD", password);
        command
    };
    run(to(&server, directory).arg("--once")).expect(1, &["NATS_CREDS", "refused the credentials"]);
    let wrong = run(with("cdr", "hunter3hunter3").arg("--once")).expect(1, &["NATS_CREDS"]);
    assert!(!wrong.stderr.contains("hunter3"), "{wrong:?}");
    run(with("cdr", "hunter2hunter2").arg("--init")).expect(0, &[]);
    run(with("reader", "r").arg("--once")).expect(
        1,
        &["Permissions Violation for Publish to \"cdr.", "let this user publish to cdr.>"],
    );
    run(with("cdr", "hunter2hunter2").arg("--once")).expect(0, &[]);
    let seed = directory.with_extension("seed");
    std::fs::write(&seed, format!("{SEED}\n")).unwrap();
    append_events(directory, 10..20, "0");
    run(to(&server, directory).arg("--once").env("NATS_NKEY", &seed)).expect(0, &[]);
    let wrong = run(to(&server, directory).arg("--once").env("NATS_CREDS", &seed));
    let wrong = wrong.expect(1, &["is no file of credentials"]);
    assert!(!wrong.stderr.contains(SEED), "{wrong:?}");
    std::fs::remove_file(&seed).unwrap();
    run(to(&server, directory).arg("--once").env("NATS_NKEY", &seed)).expect(1, &["cannot read"]);
    let mut reader =
        Client::connect(server.port, json!({ "user": "cdr", "pass": "hunter2hunter2" }));
    assert!(reader.lines("CDR", "cdr.lines.*") == record(directory, "CDR."), "lines differ");
}

#[test]
fn a_token_is_enough_for_a_server_that_wants_one() {
    let Some(server) = server_with("authorization { token: hunter2hunter2 }") else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..10, "0");
    let with = |token: &str| {
        let mut command = to(&server, directory);
        command.env("NATS_TOKEN", token);
        command
    };
    let wrong =
        expect_refusal(&mut with("hunter3hunter3"), &["refused the credentials", "NATS_TOKEN"]);
    assert!(!wrong.stderr.contains("hunter3"), "{wrong:?}");
    run(with("hunter2hunter2").arg("--init")).expect(0, &[]);
    run(with("hunter2hunter2").arg("--once")).expect(0, &[]);
    let mut reader = Client::connect(server.port, json!({ "auth_token": "hunter2hunter2" }));
    assert!(reader.lines("CDR", "cdr.lines.*") == record(directory, "CDR."), "lines differ");
}

// ===== A file of credentials =====

/// A token of NATS: claims about `subject`, signed by `issuer`.
fn sign(issuer: &KeyPair, subject: &KeyPair, name: &str, claims: Value) -> String {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let body = encode(&json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name,
        "sub": subject.public_key(), "nats": claims,
    }));
    let signed = format!("{head}.{body}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// That of the system must have no streams.
fn account(operator: &KeyPair, account: &KeyPair, name: &str, has_streams: bool) -> String {
    let mut limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    });
    if has_streams {
        for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
            limits[limit] = json!(-1);
        }
    }
    sign(operator, account, name, json!({ "limits": limits, "type": "account", "version": 2 }))
}

/// A file of credentials of a user of the account, as `nsc` writes it.
fn credentials(account: &KeyPair, directory: &Path) -> PathBuf {
    let user = KeyPair::new_user();
    let claims = json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    let token = sign(account, &user, "cdr", claims);
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    );
    let path = directory.join(format!("{}.creds", user.public_key()));
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_file_of_credentials_is_enough_and_one_of_another_account_is_refused() {
    let keys = tempfile::tempdir().unwrap();
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let (ours, other) = (KeyPair::new_account(), KeyPair::new_account());
    let of_operator =
        sign(&operator, &operator, "operator", json!({ "type": "operator", "version": 2 }));
    let configuration = format!(
        "operator: {of_operator}\nsystem_account: {}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: {}, {}: {} }}",
        system.public_key(),
        system.public_key(),
        account(&operator, &system, "system", false),
        ours.public_key(),
        account(&operator, &ours, "cdr", true),
    );
    let Some(server) = server_with(&configuration) else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..10, "0");
    let file = credentials(&ours, keys.path());
    let with = |file: &Path| {
        let mut command = to(&server, directory);
        command.env("NATS_CREDS", file);
        command
    };
    run(with(&file).arg("--init")).expect(0, &[]);
    run(with(&file).arg("--once")).expect(0, &[]);
    let mut tail = cdrlog();
    without_credentials(&mut tail);
    tail.args(["tail", "-n", "100"]).arg(format!("nats://127.0.0.1:{}/CDR", server.port));
    let read = run(tail.env("NATS_CREDS", &file)).expect(0, &[]);
    assert_eq!(read.stdout.as_bytes(), record(directory, "CDR."));
    let foreign = credentials(&other, keys.path());
    let wrong = expect_refusal(&mut with(&foreign), &["refused the credentials", "NATS_CREDS"]);
    let secret = fs::read_to_string(&foreign).unwrap();
    let secrets = secret.lines().filter(|line| line.len() > 50);
    secrets.for_each(|secret| assert!(!wrong.stderr.contains(secret), "{wrong:?}"));
    expect_refusal(&mut with(&keys.path().join("none")), &["cannot read", "none"]);
}

// ===== TLS =====

/// Makes a certificate for these names, and its key. It is its own authority.
fn certify(directory: &Path, name: &str, names: &[&str]) -> PathBuf {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let pair = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(directory.join(format!("{name}.key")), pair.signing_key.serialize_pem()).unwrap();
    let path = directory.join(format!("{name}.pem"));
    fs::write(&path, pair.cert.pem()).unwrap();
    path
}

fn server_with_tls(certificate: &Path, more: &str) -> Option<Server> {
    let key = certificate.with_extension("key");
    server_with(&format!("tls {{ cert_file: {certificate:?}, key_file: {key:?}{more} }}"))
}

fn by_address(server: &Server, directory: &Path, scheme: &str, trusted: &Path) -> Command {
    let mut command = ship(directory, &format!("{scheme}://127.0.0.1:{}/CDR", server.port));
    without_credentials(&mut command);
    command.env("SSL_CERT_FILE", trusted);
    command
}

#[test]
fn tls_is_spoken_with_a_server_whose_certificate_is_trusted() {
    let keys = tempfile::tempdir().unwrap();
    let certificate = certify(keys.path(), "server", &["127.0.0.1"]);
    let Some(server) = server_with_tls(&certificate, "") else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..10, "0");
    let with = |scheme: &str, trusted: &Path| by_address(&server, directory, scheme, trusted);
    run(with("tls", &certificate).arg("--init")).expect(0, &[]);
    run(with("tls", &certificate).arg("--once")).expect(0, &[]);
    append_events(directory, 10..20, "0");
    // The server asks for it.
    run(with("nats", &certificate).arg("--once")).expect(0, &[]);
    let place = format!("tls://127.0.0.1:{}/CDR", server.port);
    let mut tail = cdrlog();
    without_credentials(&mut tail);
    tail.args(["tail", "-n", "100", &place]).env("SSL_CERT_FILE", &certificate);
    assert_eq!(run(&mut tail).expect(0, &[]).stdout.as_bytes(), record(directory, "CDR."));
    let told = ["certificate that is not trusted", "SSL_CERT_FILE"];
    let other = certify(keys.path(), "other", &["127.0.0.1"]);
    expect_refusal(&mut with("tls", &other), &told);
    expect_refusal(&mut with("nats", &other), &told);
    let missing = keys.path().join("none.pem");
    expect_refusal(&mut with("tls", &missing), &["cannot use the certificates", "none.pem"]);
}

#[test]
fn a_server_that_shows_the_name_of_another_one_is_refused() {
    let keys = tempfile::tempdir().unwrap();
    let certificate = certify(keys.path(), "server", &["nats.example.org"]);
    let Some(server) = server_with_tls(&certificate, "") else { return };
    let directory = tempfile::tempdir().unwrap();
    append_events(directory.path(), 0..1, "0");
    let told = ["certificate that is not trusted", "the server as its certificate does"];
    expect_refusal(&mut by_address(&server, directory.path(), "tls", &certificate), &told);
}

#[test]
fn a_server_without_tls_or_with_certificates_of_clients_is_told_with_the_way_out() {
    let keys = tempfile::tempdir().unwrap();
    let certificate = certify(keys.path(), "server", &["127.0.0.1"]);
    let directory = tempfile::tempdir().unwrap();
    append_events(directory.path(), 0..1, "0");
    let Some(plain) = server_with("") else { return };
    let mut command = by_address(&plain, directory.path(), "tls", &certificate);
    expect_refusal(&mut command, &["does not speak TLS", "nats://"]);
    let more = format!(", ca_file: {certificate:?}, verify: true");
    let Some(strict) = server_with_tls(&certificate, &more) else { return };
    let mut command = by_address(&strict, directory.path(), "tls", &certificate);
    expect_refusal(&mut command, &["asks for a certificate of its clients", "NATS_CREDS"]);
}

// ===== Versions =====

/// Says that it is a server of this version, and answers pings. It ends with the program.
fn server_of_version(version: &str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let info = json!({
        "server_id": "X", "server_name": "x", "version": version, "go": "go", "host": "127.0.0.1",
        "port": port, "headers": true, "max_payload": 1 << 20, "proto": 1, "jetstream": true,
    });
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let mut answers = client.try_clone().unwrap();
            // Whoever refuses it goes away.
            let mut greeted = answers.write_all(format!("INFO {info}\r\n").as_bytes());
            for line in BufReader::new(client).lines() {
                if greeted.is_err() {
                    break;
                }
                if line.is_ok_and(|line| line == "PING") {
                    greeted = answers.write_all(b"PONG\r\n");
                }
            }
        }
    });
    port
}

#[test]
fn a_server_that_accepts_two_messages_with_one_expectation_is_refused_by_its_version() {
    let directory = tempfile::tempdir().unwrap();
    append_events(directory.path(), 0..1, "0");
    for version in ["2.9.10", "2.11.9"] {
        let mut command = to_port(server_of_version(version), directory.path(), "CDR");
        let told = ["the probe \"version\" failed", version, "use 2.12 or later"];
        expect_refusal(&mut command, &told);
    }
}
