//! The page in a real browser: it shows what there is, and no text that a caller chooses runs, loads
//! or looks like anything but a text. The pictures of the documents are made here.

mod attacks;
mod made_up_day;
mod speed;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use self::made_up_day::{PEOPLE, now, start_with_day, today, write_day};
use crate::browser::Browser;
use crate::client::Client;
use crate::daemon::Daemon;
use crate::page::{page, start_with_page};
use crate::secured::certify;

const MINUTE_MS: i64 = 60_000;

fn open(browser: &mut Browser, page: SocketAddr, view: &str) {
    browser.open(&format!("http://{page}/#{view}"));
    browser.wait_until(&format!("document.body?.dataset.drawn === '{view}'"));
    browser.wait_until("document.getElementById('state').textContent.startsWith('Live')");
}

#[test]
fn the_page_shows_rooms_days_and_health_and_is_used_by_the_keyboard_alone() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_day(directory.path());
    browser.look(1280, 900, "light");
    open(&mut browser, page(&daemon), "now");
    browser.wait_until("document.querySelectorAll('#open-rooms tbody tr').length > 3");
    browser.wait_until("document.querySelectorAll('#now-charts rect.a').length > 20");
    // Every chart has a table with the same numbers.
    browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    browser.wait_until("document.querySelectorAll('#now-charts figure table').length === 4");
    // A new event shows at once, and its words are the caller's.
    let event = json!({ "event": "participantJoined", "timestamp": now(), "sessionId": "brand new", "participantId": "p1", "clientData": "Zoë" });
    assert_eq!(daemon.connect().post(&event.to_string()).status, 200);
    browser.wait_until("document.getElementById('feed').innerText.includes('Zoë')");
    browser.wait_until("document.getElementById('open-rooms').innerText.includes('brand new')");
    browser.press("2");
    browser.wait_until("!document.getElementById('view-day').hidden");
    browser
        .wait_until("document.getElementById('day-words').innerText.includes('networkDisconnect')");
    browser.press("4");
    browser
        .wait_until("document.getElementById('health-words').innerText.includes('unknown_path')");
    browser.press("/");
    browser.type_text("grace");
    browser.wait_until(
        "location.hash === '#rooms' && document.querySelectorAll('#found tbody tr').length > 3",
    );
    browser.evaluate("document.querySelector('#found button').focus()");
    browser.press("Enter");
    browser.wait_until("document.querySelectorAll('#room-events tbody tr').length > 2");
    browser.press("Escape");
    browser.wait_until("!document.getElementById('room').open");
    let dark = "getComputedStyle(document.body).backgroundColor";
    let light_colour = browser.evaluate(dark);
    browser.evaluate("document.activeElement.blur()");
    browser.press("t");
    assert_ne!(browser.evaluate(dark), light_colour, "t makes it dark");
    // Nothing is cut off on a narrow screen.
    browser.look(360, 700, "dark");
    for view in ["now", "day", "rooms", "health"] {
        browser.evaluate(&format!("location.hash = '{view}'"));
        browser.wait_until(&format!("!document.getElementById('view-{view}').hidden"));
        browser.wait_until("document.documentElement.scrollWidth <= 360");
    }
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    daemon.terminate();
}

#[test]
fn a_person_logs_in_and_out_in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("passwords");
    fs::write(&file, "open sesame & more\n").unwrap();
    let options = ["--ui-password-file", file.to_str().unwrap()];
    let daemon = start_with_page(&directory.path().join("cdr"), &options);
    let address = format!("http://{}/", page(&daemon));
    browser.open(&address);
    browser
        .wait_until("location.pathname === '/login' && document.activeElement?.id === 'password'");
    for (password, expected) in [
        ("wrong", "document.body?.innerText.includes('This password is wrong')"),
        (
            "open sesame & more",
            "location.pathname === '/' && document.body?.dataset.drawn === 'now'",
        ),
    ] {
        browser.evaluate("document.getElementById('password').focus()");
        browser.type_text(password);
        browser.evaluate("document.querySelector('form button').click()");
        browser.wait_until(expected);
    }
    assert_eq!(browser.evaluate("document.cookie"), "", "no script sees the session");
    browser.evaluate("document.querySelector('#logout button').click()");
    browser.wait_until("location.pathname === '/login'");
    daemon.terminate();
}

#[test]
fn the_page_speaks_tls_and_http2_and_its_session_is_for_tls_alone() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    certify(directory.path());
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("passwords"), "open sesame\n").unwrap();
    let (cert, key, passwords) = (at("cert.pem"), at("key.pem"), at("passwords"));
    let options = ["--tls-cert", &cert, "--tls-key", &key, "--ui-password-file", &passwords];
    let daemon = start_with_page(&directory.path().join("cdr"), &options);
    // The certificate is one of its own.
    browser.call("Security.setIgnoreCertificateErrors", json!({ "ignore": true }));
    browser.open(&format!("https://{}/", page(&daemon)));
    browser
        .wait_until("location.pathname === '/login' && document.activeElement?.id === 'password'");
    browser.type_text("open sesame");
    browser.evaluate("document.querySelector('form button').click()");
    browser.wait_until("document.getElementById('state')?.textContent.startsWith('Live')");
    let protocols = "[...performance.getEntriesByType('navigation'), \
                      ...performance.getEntriesByType('resource')].map((one) => one.nextHopProtocol)";
    let protocols = browser.evaluate(protocols);
    let protocols = protocols.as_array().unwrap();
    assert!(protocols.len() > 4 && protocols.iter().all(|it| *it == "h2"), "{protocols:?}");
    let cookies = browser.call("Network.getCookies", json!({}));
    let session = cookies["cookies"].as_array().unwrap().iter().find(|it| it["httpOnly"] == true);
    let session = session.unwrap_or_else(|| panic!("{cookies}"));
    assert!(session["name"].as_str().unwrap().starts_with("__Host-"), "{session}");
    assert_eq!((&session["secure"], &session["sameSite"]), (&json!(true), &json!("Strict")));
    // Nothing is told in the clear.
    let plain = Client::connect(page(&daemon)).try_get("/");
    assert!(plain.is_err() || plain.unwrap().status == 400);
    daemon.terminate();
}

/// `cli/scripts/page-pictures.sh` runs it.
#[test]
#[ignore = "writes the pictures of the documents"]
fn the_pictures_of_the_documents() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_day(directory.path());
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ui");
    fs::create_dir_all(&place).unwrap();
    let mut client = daemon.connect();
    browser.look(1200, 860, "light");
    open(&mut browser, page(&daemon), "now");
    browser.wait_until("document.querySelectorAll('#open-rooms tbody tr').length > 3");
    post_some(&mut client);
    browser.wait_until("document.querySelectorAll('#feed tbody tr').length > 5");
    let take = |browser: &mut Browser, name: &str| {
        fs::write(place.join(format!("{name}.png")), browser.picture()).unwrap();
    };
    take(&mut browser, "now");
    browser.evaluate("location.hash = 'day'");
    browser
        .wait_until("document.getElementById('day-words').innerText.includes('networkDisconnect')");
    take(&mut browser, "day");
    browser.evaluate("location.hash = 'health'");
    browser
        .wait_until("document.getElementById('health-words').innerText.includes('unknown_path')");
    take(&mut browser, "health");
    browser.look(1200, 860, "dark");
    browser.evaluate("{ const query = document.getElementById('query'); query.value = 'grace'; query.dispatchEvent(new Event('input')); }");
    browser.wait_until("document.querySelectorAll('#found tbody tr').length > 3 && document.querySelector('#found p').textContent.includes('grace')");
    take(&mut browser, "rooms");
    browser.evaluate("document.querySelectorAll('#found button')[3].click()");
    browser.wait_until("document.querySelectorAll('#room-events tbody tr').length > 2");
    take(&mut browser, "room");
    browser.evaluate("document.getElementById('room').close()");
    browser.look(390, 800, "dark");
    browser.evaluate("location.hash = 'now'");
    browser.wait_until("!document.getElementById('view-now').hidden");
    take(&mut browser, "narrow");
    daemon.terminate();
}

/// Some rooms that begin now.
fn post_some(client: &mut Client) {
    let mut post = |event: Value| assert_eq!(client.post(&event.to_string()).status, 200);
    for room in ["board", "webinar", "support-7"] {
        post(json!({ "event": "sessionCreated", "timestamp": now(), "sessionId": room }));
    }
    post(
        json!({ "event": "recordingStatusChanged", "timestamp": now(), "sessionId": "webinar", "id": "webinar", "status": "started" }),
    );
    for (number, who) in PEOPLE.iter().enumerate() {
        let room = ["board", "webinar", "webinar", "support-7"][number % 4];
        post(
            json!({ "event": "participantJoined", "timestamp": now(), "sessionId": room, "participantId": format!("new_{number}"), "clientData": who }),
        );
    }
}
