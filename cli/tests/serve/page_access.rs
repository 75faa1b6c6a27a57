//! Who may look at the page: no page of another site, nobody without the password, and nobody who
//! guesses it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::client::{Answer, Client};
use crate::daemon::{Daemon, serve};
use crate::page::{get, page, start_with_page};

const PASSWORD: &str = "open sesame & more";

fn password_file(directory: &Path) -> PathBuf {
    let path = directory.join("passwords");
    fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn start_with_password(directory: &Path) -> Daemon {
    let file = password_file(directory);
    start_with_page(&directory.join("cdr"), &["--ui-password-file", file.to_str().unwrap()])
}

/// The form, as a browser gets it: its cookie and its token.
fn form(daemon: &Daemon) -> (String, String) {
    let answer = get(page(daemon), "/login");
    assert_eq!(answer.status, 200);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let (_, rest) = answer.text().split_once("name=\"token\" value=\"").unwrap();
    (cookie, rest.split('"').next().unwrap().to_owned())
}

fn log_in(daemon: &Daemon, headers: &str, token: &str, password: &str) -> Answer {
    let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = format!("password={encoded}&token={token}");
    let length = form.len();
    let mut client = Client::connect(page(daemon));
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}"
    );
    client.send(head.as_bytes()).unwrap();
    client.read("POST").unwrap()
}

fn get_with(daemon: &Daemon, path: &str, headers: &[(&str, &str)]) -> Answer {
    Client::connect(page(daemon)).request("GET", path, headers)
}

#[test]
fn every_answer_of_the_page_forbids_what_others_could_put_into_it() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_password(directory.path());
    let paths =
        ["/", "/page.js", "/page.css", "/login", "/live", "/api/day", "/nothing", "/logout"];
    for path in paths {
        let answer = get(page(&daemon), path);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
    }
    daemon.terminate();
}

#[test]
fn a_name_that_was_made_to_lead_here_and_a_page_of_another_site_see_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    let ask = |path: &str, head: &str| {
        let mut client = Client::connect(page(&daemon));
        client.send(format!("GET {path} HTTP/1.1\r\n{head}\r\n").as_bytes()).unwrap();
        client.read("GET").unwrap().status
    };
    for path in ["/", "/page.js", "/live", "/api/day?from=0&until=1"] {
        for host in
            ["evil.example", "localhost.evil.example:8788", "10.0.0.1", "", "127.0.0.1@evil"]
        {
            assert_eq!(ask(path, &format!("Host: {host}\r\n")), 403, "{path} {host}");
        }
        for origin in ["http://evil.example", "null", "http://localhost:1"] {
            let head = format!("Host: {}\r\nOrigin: {origin}\r\n", page(&daemon));
            assert_eq!(ask(path, &head), 403, "{path} {origin}");
        }
        assert_eq!(ask(path, ""), 400, "{path}");
    }
    assert_eq!(ask("/", "Host: localhost:8788\r\n"), 200);
    let line = daemon.wait_until_it_says(r#""reason":"foreign_host""#);
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("have the page ask for a password"), "{line}");
    daemon.terminate();
}

#[test]
fn a_page_that_others_can_reach_does_not_start_without_credentials() {
    let directory = tempfile::tempdir().unwrap();
    for (options, expected) in [
        (&["--ui", "0.0.0.0:0"][..], "can be reached by others"),
        (&["--ui-password-file", "/nowhere"], "give --ui"),
        (
            &["--ui", "--ui-password-file", "/nowhere"],
            "--ui-password-file /nowhere: cannot be read",
        ),
        (
            &["--ui", "--ui-proxy-header", "Accept: all"],
            "--ui-proxy-header: everybody may send accept",
        ),
        (&["--ui", "localhost:80"], "names are not looked up"),
    ] {
        let output = serve(directory.path()).args(options).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{options:?}: {said}");
    }
}

#[test]
fn nobody_sees_anything_without_the_password_and_the_session_ends_where_it_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_password(directory.path());
    let answer = get(page(&daemon), "/");
    assert_eq!((answer.status, answer.header("location")), (303, Some("login")));
    let closed = ["/page.js", "/live", "/api/day?from=0&until=1", "/api/rooms", "/nothing"];
    for path in closed {
        assert_eq!(get(page(&daemon), path).status, 401, "{path}");
    }
    let (cookie, token) = form(&daemon);
    let with_cookie = format!("Cookie: {cookie}\r\n");
    assert_eq!(log_in(&daemon, &with_cookie, &token, "open sesame").status, 401);
    let answer = log_in(&daemon, &with_cookie, &token, PASSWORD);
    assert_eq!((answer.status, answer.header("location")), (303, Some("./")));
    let session = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(session.contains(part), "{session}");
    }
    let session = session.split(';').next().unwrap();
    for path in ["/", "/page.js", "/api/rooms?from=0&until=1&q="] {
        assert_eq!(get_with(&daemon, path, &[("Cookie", session)]).status, 200, "{path}");
    }
    let left = Client::connect(page(&daemon)).request("POST", "/logout", &[("Cookie", session)]);
    assert!(left.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(get_with(&daemon, "/page.js", &[("Cookie", session)]).status, 401);
    daemon.terminate();
}

#[test]
fn a_form_that_another_site_sends_logs_nobody_in() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_password(directory.path());
    let (cookie, token) = form(&daemon);
    let own = format!("Cookie: {cookie}\r\n");
    for (headers, token) in [
        // The browser sends no cookie, or another site knows no token.
        (String::new(), token.as_str()),
        (own.clone(), ""),
        (own.clone(), "00"),
        (format!("{own}Sec-Fetch-Site: cross-site\r\n"), token.as_str()),
        (format!("{own}Origin: http://evil.example\r\n"), token.as_str()),
        (format!("{own}Origin: null\r\n"), token.as_str()),
    ] {
        let answer = log_in(&daemon, &headers, token, PASSWORD);
        assert_eq!(answer.status, 403, "{headers}");
        let set = answer.header("set-cookie").unwrap_or_default();
        assert!(!set.starts_with("cdrlog="), "{set}");
    }
    let headers = format!("{own}Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n");
    assert_eq!(log_in(&daemon, &headers, &token, PASSWORD).status, 303);
    daemon.terminate();
}

#[test]
fn who_guesses_passwords_is_not_listened_to_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_password(directory.path());
    let (cookie, token) = form(&daemon);
    let own = format!("Cookie: {cookie}\r\n");
    let refused = (0..60)
        .map(|_| log_in(&daemon, &own, &token, "guess me"))
        .find(|answer| answer.status != 401);
    let refused = refused.expect("any number of guesses");
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(log_in(&daemon, &own, &token, PASSWORD).status, 429, "not even with the right one");
    let line = daemon.wait_until_it_says(r#""reason":"credentials_wrong""#);
    assert!(line.contains("WARN") && !line.contains("guess me"), "{line}");
    daemon.terminate();
}

#[test]
fn a_proxy_that_has_let_somebody_in_says_so_by_a_secret_header() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &["--ui-proxy-header", "X-Page: by the proxy"]);
    assert_eq!(get(page(&daemon), "/").status, 401);
    // The proxy passes its own name on.
    for (value, status) in [("by the proxy", 200), ("by me", 401), ("", 401)] {
        let headers = [("X-Page", value), ("X-Forwarded-Host", "cdr.example")];
        assert_eq!(get_with(&daemon, "/", &headers).status, status, "{value}");
    }
    assert_eq!(get(page(&daemon), "/login").status, 401, "there is no password");
    daemon.terminate();
}
