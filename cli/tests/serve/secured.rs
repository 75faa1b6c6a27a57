//! TLS: what is spoken, and certificates that change.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::post_head;
use crate::common::{body, cdr};
use crate::daemon::{Daemon, start, wait_for};

/// Writes a certificate for localhost and its key.
pub fn certify(directory: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.join("cert.pem"), pair.cert.pem()).unwrap();
    fs::write(directory.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().clone()
}

pub fn start_with_tls(directory: &Path) -> Daemon {
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| directory.join(name));
    let options = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    start(&directory.join("cdr"), &options)
}

/// Posts as a client who trusts this certificate alone. Gives the status line.
fn post(daemon: &Daemon, root: &CertificateDer<'static>, body: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(daemon.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut stream = StreamOwned::new(session, stream);
    stream.write_all(post_head("/", body.len(), body).as_bytes())?;
    let mut answer = [0; 15];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn events_come_over_tls_and_nothing_over_plain_http() {
    let directory = tempfile::tempdir().unwrap();
    let root = certify(directory.path());
    let daemon = start_with_tls(directory.path());
    assert_eq!(post(&daemon, &root, &body(0)).unwrap(), "HTTP/1.1 200 OK");
    let mut plain = daemon.connect();
    plain.send(post_head("/", body(1).len(), &body(1)).as_bytes()).unwrap();
    let answer = plain.read("POST").unwrap();
    assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
    assert!(answer.text().contains("https"), "{}", answer.text());
    assert_eq!(plain.read_to_end().unwrap(), b"");
    // A sender that is configured with http instead of https loses its events: it is told of.
    let line = daemon.wait_until_it_says(r#""reason":"tls""#);
    assert!(line.contains("WARN") && line.contains("plain HTTP"), "{line}");
    assert_eq!(post(&daemon, &root, &body(2)).unwrap(), "HTTP/1.1 200 OK");
    daemon.terminate();
    assert_eq!(cdr(&directory.path().join("cdr")).lines().count(), 2);
}

#[test]
fn a_handshake_that_fails_is_told_with_its_peer_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let root = certify(directory.path());
    let daemon = start_with_tls(directory.path());
    let mut client = daemon.connect();
    client.send(b"\x16\x03\x01\x00\x05nonsense").unwrap();
    assert!(client.read("POST").is_err());
    let line = daemon.wait_until_it_says(r#""reason":"tls""#);
    assert!(line.contains("WARN") && line.contains("127.0.0.1:"), "{line}");
    // A port that is only looked at says nothing of a sender.
    drop(daemon.connect());
    assert_eq!(post(&daemon, &root, &body(1)).unwrap(), "HTTP/1.1 200 OK");
    daemon.signal("TERM");
    let (_, said) = daemon.end();
    assert!(!said.iter().any(|line| line.contains(r#""reason":"tls""#)), "{said:?}");
}

#[test]
fn a_certificate_is_read_anew_on_sighup_and_a_bad_one_keeps_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let first = certify(directory.path());
    let daemon = start_with_tls(directory.path());
    assert!(post(&daemon, &first, &body(0)).is_ok());
    let second = certify(directory.path());
    assert!(post(&daemon, &second, &body(1)).is_err());
    daemon.signal("HUP");
    wait_for("the new certificate", || post(&daemon, &second, &body(2)).ok());
    assert!(post(&daemon, &first, &body(3)).is_err());
    fs::write(directory.path().join("key.pem"), "torn").unwrap();
    daemon.signal("HUP");
    daemon.wait_until_it_says("key.pem holds no private key");
    assert!(post(&daemon, &second, &body(4)).is_ok());
    daemon.terminate();
}

#[test]
fn a_certificate_that_changes_is_used_without_a_signal_and_a_bad_one_keeps_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let first = certify(directory.path());
    let daemon = start_with_tls(directory.path());
    assert!(post(&daemon, &first, &body(0)).is_ok());
    // As certbot does it: other files under the same names.
    let renewed = directory.path().join("renewed");
    fs::create_dir(&renewed).unwrap();
    let second = certify(&renewed);
    for name in ["cert.pem", "key.pem"] {
        fs::rename(renewed.join(name), directory.path().join(name)).unwrap();
    }
    daemon.wait_until_it_says("the certificate has changed");
    assert!(post(&daemon, &second, &body(1)).is_ok());
    assert!(post(&daemon, &first, &body(2)).is_err());
    // A key that does not belong to the certificate.
    certify(&renewed);
    fs::copy(renewed.join("key.pem"), directory.path().join("key.pem")).unwrap();
    let line = daemon.wait_until_it_says("the certificate stays as it was");
    assert!(line.contains("ERROR") && line.contains("key.pem"), "{line}");
    assert!(post(&daemon, &second, &body(3)).is_ok());
    daemon.signal("TERM");
    let (_, said) = daemon.end();
    let told = said.iter().filter(|line| line.contains("certificate")).count();
    assert_eq!(told, 0, "it is told once for each change: {said:?}");
}

#[test]
fn a_certificate_without_its_key_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    certify(directory.path());
    let cert = directory.path().join("cert.pem");
    let mut command = crate::daemon::serve(&directory.path().join("cdr"));
    let output = command.arg("--tls-cert").arg(&cert).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
    assert!(said.contains("tls-key") || said.contains("tls_key"), "{said}");
}
