//! The page in a real browser: it shows what there is, and no text that a caller chooses runs, loads
//! or looks like anything but a text. The pictures of the documents are made here.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::client::Client;
use crate::daemon::Daemon;
use crate::page::{page, start_with_page};

const MINUTE_MS: i64 = 60_000;

/// Numbers that look random and are always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

const ROOMS: [&str; 8] = [
    "daily-standup",
    "sales",
    "support",
    "planning",
    "training",
    "all-hands",
    "interview",
    "design",
];
const PEOPLE: [&str; 12] = [
    "Ada", "Grace", "Edsger", "Barbara", "Donald", "Leslie", "Margaret", "Tony", "Radia", "Alan",
    "Hedy", "Niklaus",
];
const PLATFORMS: [&str; 4] = [
    "Chrome 130 on Windows 11",
    "Firefox 132 on Linux",
    "Safari 18 on macOS 15",
    "Chrome 130 on Android 15",
];
const REASONS: [&str; 10] = [
    "disconnect",
    "disconnect",
    "disconnect",
    "disconnect",
    "disconnect",
    "disconnect",
    "networkDisconnect",
    "networkDisconnect",
    "forceDisconnectByUser",
    "mediaServerDisconnect",
];

/// A made-up day of calls that ends at `now`: the lines of a CDR with their times.
fn day(now: i64) -> Vec<(i64, String)> {
    let (mut numbers, mut lines) = (Numbers(7), Vec::new());
    let mut tell = |at: i64, event: &str, mut body: Value| {
        body["timestamp"] = json!(at);
        lines.push((at, json!({ event: body }).to_string()));
    };
    for number in 0..220_i64 {
        // More of them in the last hours.
        let ago = (23 * 60 - number * 23 * 60 / 220 + numbers.next(9) as i64) * MINUTE_MS;
        let began = now - ago;
        let length = (6 + numbers.next(55) as i64) * MINUTE_MS;
        // A room is over before its name begins again.
        let name = format!("{}-{}", ROOMS[(number % 8) as usize], 1 + number / 8 % 6);
        let session = json!({ "sessionId": name, "uniqueSessionId": format!("{name}_{began}") });
        let with = |more: Value| {
            let mut body = session.clone();
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        tell(began, "sessionCreated", with(json!({})));
        let ended = began + length;
        for place in 0..1 + numbers.next(7) {
            let who = PEOPLE[(numbers.next(4) + place * 2) as usize % PEOPLE.len()];
            let id = format!("con_{number}_{place}");
            let joined = began + 1000 + numbers.next(90_000) as i64;
            let left = ended - numbers.next(120_000) as i64;
            let platform = PLATFORMS[numbers.next(4) as usize];
            tell(
                joined,
                "participantJoined",
                with(
                    json!({ "participantId": id, "connectionId": id, "clientData": who, "platform": platform, "location": "unknown" }),
                ),
            );
            let reason = REASONS[numbers.next(10) as usize];
            tell(
                left,
                "participantLeft",
                with(
                    json!({ "participantId": id, "connectionId": id, "clientData": who, "platform": platform, "reason": reason, "startTime": joined, "duration": (left - joined) / 1000 }),
                ),
            );
        }
        if numbers.next(5) == 0 {
            let recording = json!({ "id": format!("{name}-{number}"), "status": "started" });
            tell(began + 100_000, "recordingStatusChanged", with(recording));
            let recording = json!({ "id": format!("{name}-{number}"), "status": "ready", "size": 40_000_000 + numbers.next(90_000_000), "startTime": began + 100_000 });
            tell(ended, "recordingStatusChanged", with(recording));
        }
        let reason =
            if numbers.next(9) == 0 { "sessionClosedByServer" } else { "lastParticipantLeft" };
        tell(
            ended + 50,
            "sessionDestroyed",
            with(json!({ "startTime": began, "duration": length / 1000, "reason": reason })),
        );
    }
    lines.retain(|(at, _)| *at <= now);
    lines.sort();
    lines
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Writes lines into a file that began two days ago.
fn write(directory: &Path, lines: &[(i64, String)]) {
    let began = jiff::Timestamp::from_millisecond(now() - 2 * 24 * 60 * MINUTE_MS).unwrap();
    let name = began.strftime("CDR.%Y-%m-%d_00-00-00.log").to_string();
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    fs::write(directory.join(name), text).unwrap();
}

/// A server with a made-up day, some of whose last bodies were refused.
fn start_with_day(directory: &Path) -> Daemon {
    write(directory, &day(now()));
    let daemon = start_with_page(directory, &[]);
    let mut client = daemon.connect();
    for (path, body, status) in [
        ("/", r#"{"event":"participantJoined","timestamp":1"#, 400),
        ("/", r#"{"timestamp":1}"#, 400),
        ("/", "not JSON", 400),
        ("/events", r#"{"event":"a","timestamp":1}"#, 404),
    ] {
        assert_eq!(client.try_post(path, body).unwrap().status, status);
    }
    daemon
}

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

/// What would show if a text were more than a text.
const ATTACKS: [&str; 6] = [
    "<img src=x onerror=window.broken=1>",
    "\"'><script>window.broken=2</script>",
    "javascript:window.broken=3",
    "</td></tr></table><svg onload=window.broken=4>",
    "{token}${window.broken=5}`",
    "\u{202e}\u{0}__proto__",
];

/// Events in which every text that a caller can choose is an attack.
fn attacks(at: i64, attack: &str) -> Vec<String> {
    let openvidu = |event: &str, more: Value| {
        let mut body = json!({
            "event": event, "timestamp": at, "sessionId": attack, "uniqueSessionId": format!("{attack}u"),
            "participantId": attack, "connectionId": attack, "clientData": attack, "serverData": attack,
            "platform": attack, "location": attack, "ip": attack, "reason": attack,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    let room =
        json!({ "sid": format!("{attack}s"), "name": format!("{attack}n"), "metadata": attack });
    let participant = json!({ "sid": attack, "identity": attack, "name": attack, "metadata": attack, "disconnectReason": attack });
    let livekit = |event: &str, more: Value| {
        let mut body = json!({ "event": event, "createdAt": (at / 1000).to_string(), "id": format!("{event}{attack}"), "room": room, "participant": participant });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    vec![
        openvidu("sessionCreated", json!({})),
        openvidu("participantJoined", json!({})),
        openvidu(
            "recordingStatusChanged",
            json!({ "id": attack, "status": "started", "name": attack }),
        ),
        openvidu("signalSent", json!({ "type": attack, "data": attack })),
        openvidu("participantLeft", json!({ "startTime": at - 1000, "duration": 1 })),
        livekit("room_started", json!({})),
        livekit("participant_joined", json!({})),
        livekit(
            "egress_started",
            json!({ "egressInfo": { "egressId": attack, "roomName": format!("{attack}n"), "roomId": format!("{attack}s") } }),
        ),
        livekit("participant_left", json!({})),
        livekit(attack, json!({})),
        // It is no event, and its reason is told.
        format!("{{\"event\":\"{attack}\""),
    ]
}

#[test]
fn no_text_that_a_caller_chooses_is_more_than_a_text_in_any_view() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    browser.call(
        "Page.addScriptToEvaluateOnNewDocument",
        json!({ "source": "window.stopped = []; addEventListener('securitypolicyviolation', (event) => window.stopped.push(event.violatedDirective + ' ' + event.sample));" }),
    );
    open(&mut browser, page(&daemon), "now");
    let mut client = daemon.connect();
    let mut posted = 0;
    for (index, attack) in ATTACKS.iter().enumerate() {
        for body in attacks(now() + index as i64, attack) {
            posted += u64::from(client.post(&body).status == 200);
        }
    }
    assert!(posted > 50, "{posted}");
    let image = json!(ATTACKS[0]);
    browser.wait_until(&format!(
        "document.getElementById('open-rooms').textContent.includes({image})"
    ));
    browser.wait_until(&format!("document.getElementById('feed').textContent.includes({image})"));
    for view in ["day", "health", "rooms"] {
        browser.evaluate(&format!("location.hash = '{view}'"));
        browser.wait_until(&format!("!document.getElementById('view-{view}').hidden"));
        if view != "health" {
            browser.wait_until(&format!(
                "document.getElementById('view-{view}').textContent.includes({image})"
            ));
        }
        look_for_harm(&mut browser);
    }
    // The whole time line of every room.
    let rooms = browser.evaluate("document.querySelectorAll('#found button').length");
    let rooms = rooms.as_u64().unwrap();
    assert!(rooms >= ATTACKS.len() as u64, "{rooms}");
    for room in 0..rooms {
        browser.evaluate(&format!("document.querySelectorAll('#found button')[{room}].click()"));
        browser.wait_until("document.querySelectorAll('#room-events tbody tr').length > 1");
        browser.evaluate(
            "document.querySelectorAll('#room details').forEach((one) => { one.open = true; })",
        );
        look_for_harm(&mut browser);
        browser.evaluate("document.getElementById('room').close()");
    }
    // What somebody is made to search for.
    browser.evaluate(&format!("{{ const query = document.getElementById('query'); query.value = {image}; query.dispatchEvent(new Event('input')); }}"));
    browser
        .wait_until(&format!("document.querySelector('#found p')?.textContent.includes({image})"));
    look_for_harm(&mut browser);
    let stopped = browser.evaluate("window.stopped");
    assert_eq!(stopped, json!([]), "the policy had something to stop");
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    daemon.terminate();
}

#[track_caller]
fn look_for_harm(browser: &mut Browser) {
    assert_eq!(browser.evaluate("typeof window.broken"), "undefined");
    let strange = "document.querySelectorAll('img, iframe, object, embed, [onerror], [onload], [style], a[href^=\"javascript\"]').length";
    assert_eq!(browser.evaluate(strange), 0);
    assert_eq!(browser.evaluate("document.scripts.length"), 1);
    assert_eq!(
        browser.evaluate("Object.prototype.polluted === undefined && location.pathname === '/'"),
        true
    );
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

/// `cli/scripts/page-pictures` runs it.
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
