//! The nginx and Caddy configurations in docs/openvidu.md let in whom they claim to, and nobody
//! else.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{body, cdr};
use crate::credentials::with_file;
use crate::daemon::{Daemon, wait_for};
use crate::skip::skip;

const GUIDE: &str = include_str!("../../../docs/openvidu.md");

/// The guide's block in this language.
fn block(language: &str) -> &'static str {
    let (_, section) = GUIDE.split_once("nginx or Caddy in front of it\n").expect("a section");
    let (_, rest) = section.split_once(&format!("```{language}\n")).expect("the guide has it");
    rest.split_once("```").unwrap().0
}

fn is_there(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok_and(|mut child| child.wait().is_ok())
}

/// Ended when it is dropped.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx has worker processes, which end only if it is stopped cleanly.
        let _ = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// A port that is free at this moment.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A certificate and its key: `<name>.pem`, `<name>.key`.
fn certify(directory: &Path, name: &str) {
    let pair = rcgen::generate_simple_self_signed(["cdr.example.org".to_owned()]).unwrap();
    std::fs::write(directory.join(format!("{name}.pem")), pair.cert.pem()).unwrap();
    std::fs::write(directory.join(format!("{name}.key")), pair.signing_key.serialize_pem())
        .unwrap();
}

/// Asks the proxy with curl. Returns the status: 0 if there is no answer.
fn ask(directory: &Path, proxy: SocketAddr, options: &[&str]) -> u16 {
    let port = proxy.port();
    let mut command = Command::new("curl");
    command.current_dir(directory).args(["-s", "-o", "answer", "-w", "%{http_code}"]);
    command.args(["--cacert", "server.pem", "--resolve"]);
    command.arg(format!("cdr.example.org:{port}:127.0.0.1")).args(options);
    let output = command.arg(format!("https://cdr.example.org:{port}/")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().parse().unwrap_or_default()
}

/// The block with each of these replaced; it must contain them all.
fn adapted(language: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(block(language).to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the guide");
        text.replace(from, to)
    })
}

/// Checks that the proxy lets in whom the guide says.
fn check(directory: &Path, daemon: &Daemon, mut proxy: Proxy, address: SocketAddr) {
    wait_for("the proxy", || {
        assert!(proxy.0.try_wait().unwrap().is_none(), "the proxy has ended");
        TcpStream::connect(address).ok()
    });
    let sender = ["--cert", "sender.pem", "--key", "sender.key", "-H", "X-Token: right"];
    let json = ["-H", "Content-Type: application/webhook+json"];
    let [first, second] = [body(0), body(1)];
    let post = |event: &str, options: &[&str]| {
        ask(directory, address, &[options, &["-d", event]].concat())
    };
    assert_eq!(post(&first, &[&sender[..], &json].concat()), 200);
    // A client without a certificate is not let in, nor one with another certificate.
    let anonymous = [&sender[4..], &json].concat();
    assert_ne!(post(&second, &anonymous), 200);
    let other = ["--cert", "other.pem", "--key", "other.key"];
    assert_ne!(post(&second, &[&other[..], &anonymous].concat()), 200);
    // A body that is not JSON or is too large is not let in, nor is a GET; cdrlog sees none of
    // them.
    let form = ["-H", "Content-Type: application/x-www-form-urlencoded"];
    assert_ne!(post(&second, &[&sender[..], &form].concat()), 200);
    let large = format!(r#"{{"event":"e","p":"{}"}}"#, "x".repeat(1_100_000));
    std::fs::write(directory.join("large"), large).unwrap();
    assert_ne!(post("@large", &[&sender[..], &json].concat()), 200);
    assert_ne!(ask(directory, address, &sender), 200);
    assert_eq!(post(&second, &[&sender[..], &json].concat()), 200);
    let metrics = daemon.connect().get("/metrics");
    assert!(metrics.text().contains("\ncdrlog_events_journaled_total 2\n"), "{}", metrics.text());
}

fn prepare(program: &str, argument: &str) -> Option<tempfile::TempDir> {
    for (tool, argument) in [(program, argument), ("curl", "--version")] {
        if !is_there(tool, argument) {
            skip(&format!("{tool} is not there"), &format!("apt-get install {tool}"));
            return None;
        }
    }
    let directory = tempfile::tempdir().unwrap();
    ["server", "sender", "other"].iter().for_each(|name| certify(directory.path(), name));
    Some(directory)
}

#[test]
fn nginx_as_the_guide_has_it_lets_in_senders_with_certificate_and_json_only() {
    let Some(directory) = prepare("nginx", "-v") else { return };
    let path = directory.path();
    let daemon = with_file(path, "--header-file", "X-Token: right");
    let address = free_address();
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let block = adapted(
        "nginx",
        &[
            ("127.0.0.1:8787", &daemon.address.to_string()),
            ("listen 443", &format!("listen {address}")),
            ("/etc/letsencrypt/live/cdr.example.org/fullchain.pem", &file("server.pem")),
            ("/etc/letsencrypt/live/cdr.example.org/privkey.pem", &file("server.key")),
            ("/etc/nginx/media-servers.pem", &file("sender.pem")),
        ],
    );
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", file(kind)))
        .concat();
    let (pid, log) = (file("nginx.pid"), file("nginx.log"));
    let text = format!(
        "daemon off; pid {pid}; error_log {log};\nevents {{}}\nhttp {{\naccess_log off;\n{places}{block}\n}}\n"
    );
    std::fs::write(path.join("nginx.conf"), text).unwrap();
    let proxy = Command::new("nginx").args(["-e", &log, "-c", &file("nginx.conf")]).spawn();
    check(path, &daemon, Proxy(proxy.unwrap()), address);
    daemon.terminate();
    assert_eq!(cdr(&path.join("cdr")).lines().count(), 2);
}

#[test]
fn caddy_as_the_guide_has_it_lets_in_senders_with_certificate_and_json_only() {
    let Some(directory) = prepare("caddy", "version") else { return };
    let path = directory.path();
    let daemon = with_file(path, "--header-file", "X-Token: right");
    let address = free_address();
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    // No certificate authority would certify the name here.
    let own = format!("tls {} {} {{", file("server.pem"), file("server.key"));
    let block = adapted(
        "caddy",
        &[
            ("127.0.0.1:8787", &daemon.address.to_string()),
            ("cdr.example.org {", &format!("cdr.example.org:{} {{", address.port())),
            ("tls {", &own),
            ("/etc/caddy/media-servers.pem", &file("sender.pem")),
        ],
    );
    let text = format!("{{\nadmin off\nauto_https disable_redirects\n}}\n{block}");
    std::fs::write(path.join("Caddyfile"), text).unwrap();
    let proxy = Command::new("caddy")
        .args(["run", "--adapter", "caddyfile", "--config", &file("Caddyfile")])
        .env("HOME", path)
        .env("XDG_DATA_HOME", path.join("data"))
        .env("XDG_CONFIG_HOME", path.join("config"))
        .stderr(Stdio::null())
        .spawn();
    check(path, &daemon, Proxy(proxy.unwrap()), address);
    daemon.terminate();
    assert_eq!(cdr(&path.join("cdr")).lines().count(), 2);
}
