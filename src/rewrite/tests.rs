//! The same promises for every implementation of the rewriter, each held to the naive reference.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::dispatch::{Implementation, Instructions};
use super::each::{self, Made};
use super::rewriter::Rewriter;

#[path = "../../tests/support/generate.rs"]
mod generate;
#[path = "../../tests/support/json_suite.rs"]
mod json_suite;
#[path = "../../tests/support/reference/mod.rs"]
mod reference;

const WEBHOOKS: &str = include_str!("../../tests/data/webhooks.jsonl");

/// Defines each test once for every implementation that there is for this kind of processor.
macro_rules! for_each_implementation {
    ($($test:ident),+ $(,)?) => {
        #[cfg(target_arch = "x86_64")]
        for_each_implementation! { avx512: $($test),+ }
        #[cfg(target_arch = "x86_64")]
        for_each_implementation! { avx2: $($test),+ }
        #[cfg(target_arch = "x86_64")]
        for_each_implementation! { ssse3: $($test),+ }
        #[cfg(target_arch = "aarch64")]
        for_each_implementation! { neon: $($test),+ }
        for_each_implementation! { arrays: $($test),+ }
        for_each_implementation! { portable: $($test),+ }
    };
    ($name:ident: $($test:ident),+) => {
        mod $name {
            $(
                #[test]
                fn $test() {
                    match super::implementation(stringify!($name)) {
                        Some(implementation) => super::$test(implementation),
                        None => eprintln!("skipped: this processor has no {}", stringify!($name)),
                    }
                }
            )+
        }
    };
}

for_each_implementation! {
    every_webhook_of_the_data_is_rewritten,
    a_body_is_rewritten_wherever_the_edges_of_blocks_fall,
    any_byte_anywhere_is_accepted_or_rejected,
    the_values_of_the_json_test_suite_are_accepted_or_rejected,
    nesting_is_limited,
    events_are_rewritten,
    broken_events_are_accepted_or_rejected,
    tokens_in_any_order_are_accepted_or_rejected,
    nothing_is_read_or_written_over_the_edge_of_a_page,
}

fn implementation(name: &str) -> Option<Implementation> {
    each::all().find(|implementation| implementation.name() == name)
}

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

/// The implementation makes the reference's line of `body`, or rejects it for the reason that the
/// portable scan has.
fn check(implementation: Implementation, body: &[u8]) {
    let made = Made::of(implementation, body);
    let line = made.line.as_deref().ok();
    reference::check(body, line);
    if made.line.is_err() {
        assert_eq!(made.line, Made::of(Implementation::Portable, body).line, "by {}", made.by);
    }
    // A recovery refuses what is not.
    assert!(line.is_none_or(super::is_whole_line), "it makes no whole line");
    if line.is_some() && made.is_left && !matches!(implementation, Implementation::Portable) {
        assert!(may_be_left(body), "it left {:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn the_portable_scan_is_always_among_the_implementations_and_the_last() {
    let names: Vec<_> = Implementation::all().map(Implementation::name).collect();
    assert_eq!(names.last(), Some(&"portable"));
    // Past the capture of tests: a person should see what was not tested here.
    let tested = format!("the rewriter is tested with {}\n", names.join(", "));
    std::io::Write::write_all(&mut std::io::stderr(), tested.as_bytes()).unwrap();
}

#[test]
fn a_rewriter_makes_the_same_lines_with_all_instructions_that_there_are() {
    let mut names = Vec::new();
    for instructions in Instructions::available() {
        let rewriter = Rewriter::new().with_instructions(instructions);
        for body in WEBHOOKS.lines().step_by(if cfg!(miri) { 20 } else { 1 }) {
            let (mut line, mut expected) = (Vec::new(), Vec::new());
            assert_eq!(
                rewriter.rewrite(body.as_bytes(), &mut line),
                Rewriter::new().rewrite(body.as_bytes(), &mut expected),
                "with {instructions}"
            );
            assert_eq!(line, expected, "with {instructions}");
        }
        assert!(!names.contains(&instructions.name()), "{instructions} twice");
        names.push(instructions.name());
    }
    assert!(names.contains(&Instructions::in_use().name()));
}

fn every_webhook_of_the_data_is_rewritten(implementation: Implementation) {
    WEBHOOKS
        .lines()
        .step_by(if cfg!(miri) { 10 } else { 1 })
        .for_each(|body| check(implementation, body.as_bytes()));
}

/// Long whitespace or a long string in front moves everything over all places of two blocks, and over
/// the edge of a group.
fn a_body_is_rewritten_wherever_the_edges_of_blocks_fall(implementation: Implementation) {
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
            check(implementation, body.replace("PAD", &pad).as_bytes());
        }
    }
}

fn any_byte_anywhere_is_accepted_or_rejected(implementation: Implementation) {
    let body = br#"{"a":{"k":"v\n"},"b":[1,-2.0,true],"event":"x"}"#;
    for at in (0..body.len()).step_by(if cfg!(miri) { 9 } else { 1 }) {
        for byte in (0..=u8::MAX).step_by(if cfg!(miri) { 85 } else { 1 }) {
            let mut body = body.to_vec();
            body[at] = byte;
            check(implementation, &body);
        }
    }
}

fn the_values_of_the_json_test_suite_are_accepted_or_rejected(implementation: Implementation) {
    for (name, value) in json_suite::files() {
        for body in json_suite::events_with(&value) {
            check(implementation, &body);
            let line = Made::of(implementation, &body).line;
            assert_eq!(line.is_ok(), json_suite::is_accepted(&name), "{name}: {line:?}");
        }
    }
}

fn nesting_is_limited(implementation: Implementation) {
    for depth in [1, 2, 61, 62, 63, 64, 65, 126, 127, 128, 129, 600]
        .into_iter()
        .step_by(if cfg!(miri) { 4 } else { 1 })
    {
        for (open, close) in [("[", "]"), (r#"{"k":"#, "}")] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            check(implementation, format!(r#"{{"event":"x","v":{open}0{close}}}"#).as_bytes());
            check(implementation, format!(r#"{{"v":{open}0{close},"event":"x"}}"#).as_bytes());
        }
    }
}

/// Checks many bodies that `bodies` makes.
fn check_each(implementation: Implementation, bodies: impl Strategy<Value = Vec<u8>>) {
    let config = ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 1_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(&bodies, |body| {
        check(implementation, &body);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn events_are_rewritten(implementation: Implementation) {
    check_each(implementation, generate::event());
}

fn broken_events_are_accepted_or_rejected(implementation: Implementation) {
    check_each(implementation, generate::broken_event());
}

fn tokens_in_any_order_are_accepted_or_rejected(implementation: Implementation) {
    check_each(implementation, generate::tokens());
}

/// A read before or after the body, or a write before or after the line, would end the process.
#[cfg(all(not(miri), target_os = "linux"))]
fn nothing_is_read_or_written_over_the_edge_of_a_page(implementation: Implementation) {
    let (mut bodies, mut lines) = (pages::Fenced::new(), pages::Fenced::new());
    let mut checked = 0;
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
                let length = implementation.rewrite(body, line).expect("an event");
                assert_eq!(line[..length], expected);
                checked += 1;
            }
        }
    }
    assert!(checked > 4_000);
}

/// Miri knows the edge of every allocation, but maps no pages: the other tests do, on Linux.
#[cfg(any(miri, not(target_os = "linux")))]
fn nothing_is_read_or_written_over_the_edge_of_a_page(_: Implementation) {}

#[cfg(all(not(miri), target_os = "linux"))]
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
