//! A made-up day of calls.

use super::*;

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
pub const PEOPLE: [&str; 12] = [
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

pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The name of a file that began so many days ago.
fn file_name(days: i64) -> String {
    let began = jiff::Timestamp::from_millisecond(now() - days * 24 * 60 * MINUTE_MS).unwrap();
    began.strftime("CDR.%Y-%m-%d_00-00-00.log").to_string()
}

/// The name of a file of today.
pub fn today() -> String {
    file_name(0)
}

/// Writes the day into a file that began two days ago.
pub fn write_day(directory: &Path) {
    let text: String = day(now()).iter().map(|(_, line)| format!("{line}\n")).collect();
    fs::write(directory.join(file_name(2)), text).unwrap();
}

/// A server with a made-up day, some of whose last bodies were refused.
pub fn start_with_day(directory: &Path) -> Daemon {
    write_day(directory);
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
