//! The events that benches run on: thousands of distinct ones, made from `tests/data` in the mix of
//! a busy server.
//!
//! Each is a body of the data in which identifiers, times, numbers, names, addresses and messages
//! are drawn anew, so that no predictor and no cache learns them. The seed is fixed: every run and
//! every machine has the same bytes.

#![allow(dead_code, clippy::allow_attributes, reason = "each bench needs a part of it")]

pub mod shapes;

use std::collections::BTreeMap;

const WEBHOOKS: &str = include_str!("../../tests/data/webhooks.jsonl");

/// How many events the corpus has.
pub const EVENTS: usize = 4096;

/// Kinds of events and how many of a thousand are of that kind. A call is mostly people coming and
/// going, the connections they make, and what they say.
const MIX: &[(&str, u64)] = &[
    ("sessionCreated", 90),
    ("sessionDestroyed", 90),
    ("participantJoined", 160),
    ("participantLeft", 110),
    ("webrtcConnectionCreated", 80),
    ("webrtcConnectionDestroyed", 50),
    ("signalSent", 380),
    ("recordingStatusChanged", 40),
];

const PLATFORMS: &[&str] = &[
    "Chrome 119.0.6045.105 on Windows 10 64-bit",
    "Firefox 118.0 on Linux 64-bit",
    "Safari 17.1 on macOS",
    "Chrome Mobile 120.0.6099.43 on Android 13",
    "IONIC",
    "unknown",
];

const LOCATIONS: &[&str] =
    &["unknown", "Berlin, Germany", "Madrid, Spain", "M\u{e1}laga, Spain", "Paris, France"];

const NAMES: &[&str] =
    &["Ana", "Mike", "Bob", "Zo\u{eb}", "Christopher", "teacher-07", "guest", ""];

const MESSAGES: &[&str] = &[
    "{'message':'Hello!','name':'Alice'}",
    "{\\\"isAudioActive\\\":true,\\\"isVideoActive\\\":false}",
    "hand raised",
    "{\\\"message\\\":\\\"Can everybody see the slides now?\\\",\\\"nickname\\\":\\\"teacher\\\"}",
    "ok",
    "",
];

/// Where the member `event` is put.
#[derive(Clone, Copy)]
pub enum Position {
    First,
    Last,
}

/// splitmix64: small, and good enough to look like traffic.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len() as u64) as usize]
    }
}

/// The corpus, with `event` at `position`.
pub fn events(position: Position) -> Vec<Vec<u8>> {
    let mut random = Random::new(0x0C0F_FEE0);
    (0..EVENTS).map(|_| event(&mut random, position).into_bytes()).collect()
}

/// LiveKit's events, which nest two to five deep, the same number of them.
pub fn nested_events() -> Vec<Vec<u8>> {
    let templates: Vec<&str> =
        WEBHOOKS.lines().filter(|line| line.contains("\"id\":\"EV_0")).collect();
    let mut random = Random::new(0x0C0F_FEE1);
    (0..EVENTS).map(|_| vary(random.pick(&templates), &mut random).into_bytes()).collect()
}

/// One event of `bytes` bytes or a little less: a signal whose data is made of `words`.
pub fn large_event(bytes: usize, words: &[&str]) -> Vec<u8> {
    let mut random = Random::new(bytes as u64);
    let mut event =
        String::from("{\"sessionId\":\"ses_Qk3vT8nLzA\",\"timestamp\":1700000070123,\"data\":[\"");
    let end = "\"],\"type\":\"chat\",\"event\":\"signalSent\"}";
    let mut item_bytes = 0;
    loop {
        let word = random.pick(words);
        if event.len() + word.len() + 4 + end.len() > bytes {
            break;
        }
        if item_bytes > 200 {
            event.push_str("\",\"");
            item_bytes = 0;
        }
        event.push_str(word);
        item_bytes += word.len();
    }
    event.push_str(end);
    event.into_bytes()
}

/// One event of about `bytes` bytes that looks like the small ones: many short members.
pub fn large_structured_event(bytes: usize) -> Vec<u8> {
    let mut random = Random::new(bytes as u64);
    let mut event = String::from("{\"timestamp\":1700000070123,\"events\":[");
    while event.len() < bytes.saturating_sub(80) {
        event.push_str(&self::event(&mut random, Position::First));
        event.push(',');
    }
    event.push_str("{}],\"event\":\"batchSent\"}");
    event.into_bytes()
}

/// How many events of each kind there are, and their mean length.
pub fn describe(events: &[Vec<u8>]) -> String {
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for event in events {
        let text = std::str::from_utf8(event).expect("UTF-8");
        let kind = text
            .split("\"event\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .expect("an event");
        let (count, bytes) = kinds.entry(kind).or_default();
        *count += 1;
        *bytes += event.len();
    }
    let total: usize = events.iter().map(Vec::len).sum();
    let mut text = format!("{} events, {} bytes on average\n", events.len(), total / events.len());
    for (kind, (count, bytes)) in kinds {
        text.push_str(&format!("  {count:5} {kind}, {} bytes on average\n", bytes / count));
    }
    text
}

fn event(random: &mut Random, position: Position) -> String {
    let mut share = random.below(MIX.iter().map(|(_, share)| share).sum());
    let mut kinds = MIX.iter();
    let kind = loop {
        let (kind, its_share) = kinds.next().expect("the shares add up");
        if share < *its_share {
            break *kind;
        }
        share -= its_share;
    };
    let member = format!("\"event\":\"{kind}\"");
    let templates: Vec<&str> = WEBHOOKS
        .lines()
        .filter(|line| line.contains(&member) && line.contains("\"sessionId\""))
        .collect();
    let template = random.pick(&templates);
    let others = template.replace(&format!("{member},"), "").replace(&format!(",{member}"), "");
    let others = vary(&others, random);
    match position {
        Position::First => format!("{{{member},{}", &others[1..]),
        Position::Last => format!("{},{member}}}", &others[..others.len() - 1]),
    }
}

/// Draws anew what differs from one event to the next.
fn vary(template: &str, random: &mut Random) -> String {
    let text = template
        .replace("Chrome 119.0.6045.105 on Windows 10 64-bit", random.pick(PLATFORMS))
        .replace(
            "\"location\":\"unknown\"",
            &format!("\"location\":\"{}\"", random.pick(LOCATIONS)),
        )
        .replace("\"clientData\":\"\"", &format!("\"clientData\":\"{}\"", random.pick(NAMES)))
        .replace("{'message':'Hello!','name':'Alice'}", random.pick(MESSAGES));
    let mut varied = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, run) = rest.split_at(start);
        varied.push_str(before);
        let end = run.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(run.len());
        vary_run(&run[..end], varied.ends_with(':'), &mut varied, random);
        rest = &run[end..];
    }
    varied.push_str(rest);
    varied
}

/// Draws one run of letters and digits anew: a number, an identifier (it has both), or a word,
/// which stays.
fn vary_run(run: &str, is_value: bool, varied: &mut String, random: &mut Random) {
    let is_number = run.bytes().all(|byte| byte.is_ascii_digit());
    let is_identifier = run.len() >= 8 && run.bytes().any(|byte| byte.is_ascii_digit());
    if is_number && is_value && run.len() < 10 {
        varied.push_str(&random.below(10_u64.pow(1 + (random.0 % 6) as u32)).to_string());
    } else if is_number && run.len() >= 4 {
        let kept = run.len().saturating_sub(8).max(1);
        varied.push_str(&run[..kept]);
        (kept..run.len()).for_each(|_| varied.push(char::from(b'0' + random.below(10) as u8)));
    } else if is_identifier {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..run.len()).for_each(|_| varied.push(char::from(LETTERS[random.below(62) as usize])));
    } else {
        varied.push_str(run);
    }
}
