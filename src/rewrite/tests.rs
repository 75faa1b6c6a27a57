//! The same promises for every implementation that this processor can run, each held to the naive
//! reference.

use proptest::prelude::*;

use super::each;
use super::vector::Choice;

#[path = "../../tests/generate/mod.rs"]
mod generate;
#[path = "../../tests/reference/mod.rs"]
mod reference;

const WEBHOOKS: &str = include_str!("../../tests/data/webhooks.jsonl");

/// What the fast scan may leave to the portable one: an escaped key of the root, and more than 64
/// levels.
fn may_be_left(body: &[u8]) -> bool {
    let text = std::str::from_utf8(body).expect("UTF-8").trim_matches([' ', '\t', '\n', '\r']);
    let members = reference::members(text, 1).expect("JSON");
    let has_escaped_key = members.iter().any(|member| {
        let raw_key = &text[member.key_start..member.value.start];
        raw_key.contains('\\')
    });
    has_escaped_key || text.matches(['[', '{']).count() > 64
}

/// All implementations make the reference's line of `body`, or reject it for the same reason.
fn check(body: &[u8]) {
    let made = each::rewrite(body);
    let first = made[0].line.clone();
    for made in made {
        let line = made.line.as_deref().ok();
        reference::check(body, line);
        assert_eq!(made.line, first, "{}", made.by);
        // A recovery refuses what is not.
        assert!(line.is_none_or(super::is_whole_line), "{} makes no whole line", made.by);
        if line.is_some() && made.is_left && made.by != "Portable" {
            assert!(may_be_left(body), "{} left {:?}", made.by, String::from_utf8_lossy(body));
        }
    }
}

#[test]
fn the_portable_scan_is_always_among_the_implementations_and_the_last() {
    let names: Vec<_> = Choice::all().map(|choice| format!("{choice:?}")).collect();
    assert_eq!(names.last().map(String::as_str), Some("Portable"));
    println!("{names:?}");
}

#[test]
fn every_webhook_of_the_data_is_rewritten_alike() {
    WEBHOOKS
        .lines()
        .step_by(if cfg!(miri) { 10 } else { 1 })
        .for_each(|body| check(body.as_bytes()));
}

/// Long blanks or a long string in front move everything over all places of two blocks, and over
/// the edge of a group.
#[test]
fn a_body_is_rewritten_alike_wherever_the_edges_of_blocks_fall() {
    let bodies = [
        r#"{"k":"PAD","a":[1,true,{"b":null}],"event":"x","s":"\u00e9\ud83d\ude00\\\"","n":-1.5e+3}"#,
        r#"{"a" : [ 1 , "t" ],PAD "event" : "na\"me" , "z":{ } }"#,
        r#"{"event":"x","k":["PAD",0,10,0.5],"event2":"y","track":"z"}"#,
        r#"{"k":"PAD","event":"x"}"#,
        r#"{"k":"PAD\ud83d","event":"x"}"#,
        r#"{"k":"PAD","a":"b":1,"event":"x"}"#,
        r#"{"k":"PAD","a":tru,"event":"x"}"#,
        r#"{"k":"PAD","a":[1}],"event":"x"}"#,
        r#"{"k":"PAD","a":[1,2,],"event":"x"}"#,
        r#"{"k":"PAD","a","event":"x"}"#,
        r#"{"k":"PAD","event":"x","a"}"#,
        r#"{"k":"PAD","event":"x","a":}"#,
        r#"{"k":"PAD","event":"x",}"#,
        r#"{"k":"PAD","event":"x"}}"#,
        r#"{"k":"PAD","a":01,"event":"x"}"#,
        r#"{"k":"PAD","event":"x","event":"y"}"#,
    ];
    for body in bodies.into_iter().step_by(if cfg!(miri) { 5 } else { 1 }) {
        // Miri takes a thousand times as long: a few places for it.
        for pad in (0..200).chain(380..580).step_by(if cfg!(miri) { 190 } else { 1 }) {
            let pad = if body.contains("\"PAD") { "v".repeat(pad) } else { " ".repeat(pad) };
            check(body.replace("PAD", &pad).as_bytes());
        }
    }
}

#[test]
fn any_byte_anywhere_is_accepted_or_rejected_alike() {
    let body = br#"{"a":{"k":"v\n"},"b":[1,-2.0,true],"event":"x"}"#;
    for at in (0..body.len()).step_by(if cfg!(miri) { 9 } else { 1 }) {
        for byte in (0..=u8::MAX).step_by(if cfg!(miri) { 85 } else { 1 }) {
            let mut body = body.to_vec();
            body[at] = byte;
            check(&body);
        }
    }
}

#[test]
fn nesting_is_limited_alike() {
    for depth in [1, 2, 61, 62, 63, 64, 65, 126, 127, 128, 129, 600]
        .into_iter()
        .step_by(if cfg!(miri) { 4 } else { 1 })
    {
        for (open, close) in [("[", "]"), (r#"{"k":"#, "}")] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            check(format!(r#"{{"event":"x","v":{open}0{close}}}"#).as_bytes());
            check(format!(r#"{{"v":{open}0{close},"event":"x"}}"#).as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 1_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn events_are_rewritten_alike(body in generate::event()) {
        check(&body);
    }

    #[test]
    fn broken_events_are_accepted_or_rejected_alike(body in generate::broken_event()) {
        check(&body);
    }

    #[test]
    fn tokens_in_any_order_are_accepted_or_rejected_alike(body in generate::tokens()) {
        check(&body);
    }
}

/// A read before or after the body, or a write before or after the line, would end the process.
#[cfg(all(unix, not(miri)))]
#[test]
fn nothing_is_read_or_written_over_the_edge_of_a_page() {
    let (mut bodies, mut lines) = (pages::Fenced::new(), pages::Fenced::new());
    let mut checked = 0;
    for choice in Choice::all() {
        for bytes in 13..700 {
            for body in [
                format!(r#"{{"event":"x","v":"{}"}}"#, "v".repeat(bytes - 13)),
                format!(r#"{{"v":"{}\n","event":"x"}}"#, "\u{e9}".repeat(bytes / 2)),
                format!(r#"{{"v":[{}1],"event":"x"}}"#, " ".repeat(bytes - 13)),
            ] {
                let body = body.as_bytes();
                let expected = reference::line(body).expect("an event");
                for (body, line) in [
                    (bodies.at_end(body), lines.room_at_end(body.len())),
                    (bodies.at_start(body), lines.room_at_start(body.len())),
                ] {
                    let length = super::rewrite_by(choice, body, line).expect("an event");
                    assert_eq!(line[..length], expected);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 4_000);
}

#[cfg(all(unix, not(miri)))]
#[expect(unsafe_code, reason = "maps memory and takes access to some of it away")]
mod pages {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

    const PAGE_BYTES: usize = 4096;

    /// Two pages between two that nothing may touch.
    pub struct Fenced(*mut u8);

    impl Fenced {
        pub fn new() -> Self {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a new mapping at a place that the system chooses.
            let start = unsafe {
                mmap_anonymous(std::ptr::null_mut(), 4 * PAGE_BYTES, access, MapFlags::PRIVATE)
            };
            let start = start.expect("memory").cast::<u8>();
            for fence in [0, 3] {
                let page = start.wrapping_add(fence * PAGE_BYTES).cast();
                // SAFETY: a page of the mapping, which nothing refers to.
                unsafe { mprotect(page, PAGE_BYTES, MprotectFlags::empty()) }.expect("a fence");
            }
            Self(start.wrapping_add(PAGE_BYTES))
        }

        pub fn room_at_start<'f>(&mut self, bytes: usize) -> &'f mut [u8] {
            assert!(bytes <= 2 * PAGE_BYTES);
            // SAFETY: within the two pages, which are never unmapped; each test uses one room at a
            // time.
            unsafe { std::slice::from_raw_parts_mut(self.0, bytes) }
        }

        pub fn room_at_end<'f>(&mut self, bytes: usize) -> &'f mut [u8] {
            assert!(bytes <= PAGE_BYTES);
            let start = self.0.wrapping_add(2 * PAGE_BYTES - bytes);
            // SAFETY: within the second page, which `room_at_start` does not reach for as many
            // bytes.
            unsafe { std::slice::from_raw_parts_mut(start, bytes) }
        }

        pub fn at_start<'f>(&mut self, body: &[u8]) -> &'f [u8] {
            let room = self.room_at_start(body.len());
            room.copy_from_slice(body);
            room
        }

        pub fn at_end<'f>(&mut self, body: &[u8]) -> &'f [u8] {
            let room = self.room_at_end(body.len());
            room.copy_from_slice(body);
            room
        }
    }
}
