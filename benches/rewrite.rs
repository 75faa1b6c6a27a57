//! How fast a body becomes a line, beside what others need only to find it valid.
//!
//! One iteration is the whole corpus, or one large event. The competitors do less than we do: they
//! neither keep the bytes nor write a line. Ours is measured with each set of vector instructions
//! that the processor has: `avx2/event-last` and the like.

mod corpus;

use std::hint::black_box;
use std::time::Duration;

use cdrlog::{Instructions, Rewriter};
use corpus::Position;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

type Group<'c> = BenchmarkGroup<'c, criterion::measurement::WallTime>;

const PLAIN: &[&str] =
    &["message ", "slide ", "12345 ", "the quick brown fox ", "{'a':[1,2]} ", "x"];
const ESCAPES: &[&str] = &["\\\"", "\\n", "\\\\", "\\u00e9", "\\ud83d\\ude00", "\\/", "a"];
const NON_ASCII: &[&str] =
    &["\u{e9}", "\u{20ac}", "\u{1f600}", "\u{65e5}\u{672c}\u{8a9e}", "n", " "];

fn bytes_of(events: &[Vec<u8>]) -> u64 {
    events.iter().map(|event| event.len() as u64).sum()
}

/// Runs `work` on every event, one after the other.
fn bench(group: &mut Group<'_>, id: &str, events: &[Vec<u8>], mut work: impl FnMut(&[u8])) {
    group.throughput(Throughput::Bytes(bytes_of(events)));
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            for event in events {
                work(black_box(event));
            }
        });
    });
}

/// A line longer than any event of the benches.
fn line_buffer() -> Vec<u8> {
    vec![0; 2 << 20]
}

/// Rewrites every event, having checked once that each is accepted and that its line holds the same
/// members.
fn bench_cdrlog(
    group: &mut Group<'_>,
    instructions: Instructions,
    shape: &str,
    events: &[Vec<u8>],
) {
    let rewriter = Rewriter::with_event_bytes_max(2 << 20).with_instructions(instructions);
    let mut line = line_buffer();
    for event in events {
        let length = rewriter.rewrite_into(event, &mut line).expect("an event");
        let body: serde_json::Value = serde_json::from_slice(event).expect("JSON");
        let cdr: serde_json::Value = serde_json::from_slice(&line[..length]).expect("JSON");
        let name = body["event"].as_str().expect("a name");
        assert_eq!(
            cdr[name].as_object().expect("an object").len() + 1,
            body.as_object().expect("an object").len()
        );
    }
    bench(group, &format!("{instructions}/{shape}"), events, |event| {
        let length = rewriter.rewrite_into(event, &mut line).expect("an event");
        black_box(&line[..length]);
    });
}

/// The events of which something is known.
fn only(events: &[Vec<u8>], is_in: fn(&str) -> bool) -> Vec<Vec<u8>> {
    let is_in = |event: &&Vec<u8>| is_in(std::str::from_utf8(event).expect("UTF-8"));
    events.iter().filter(is_in).cloned().collect()
}

fn has_words(event: &str) -> bool {
    event.contains(":true") || event.contains(":false")
}

fn is_plain(event: &str) -> bool {
    event.is_ascii() && !event.contains(['[', '\\']) && !has_words(event)
}

/// What an event may look like, and events that do.
fn shapes() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let last = corpus::events(Position::Last);
    eprint!("corpus: {}", corpus::describe(&last));
    vec![
        ("plain", only(&last, is_plain)),
        ("array", only(&last, |event| is_plain(&event.replace('[', "")) && event.contains('['))),
        ("json-in-string", only(&last, |event| event.contains('\\'))),
        ("true-false", only(&last, has_words)),
        ("nonascii", only(&last, |event| !event.is_ascii())),
        ("nested", corpus::nested_events()),
        ("large-1KB", vec![corpus::large_structured_event(1_000)]),
        ("large-100KB", vec![corpus::large_structured_event(100_000)]),
        ("large-1MB", vec![corpus::large_structured_event(1_000_000)]),
        ("plain-100KB", vec![corpus::large_event(100_000, PLAIN)]),
        ("escapes-100KB", vec![corpus::large_event(100_000, ESCAPES)]),
        ("nonascii-100KB", vec![corpus::large_event(100_000, NON_ASCII)]),
        ("event-first", corpus::events(Position::First)),
        ("event-last", last),
    ]
}

fn cdrlog(group: &mut Group<'_>) {
    for (shape, events) in shapes() {
        for instructions in Instructions::available() {
            bench_cdrlog(group, instructions, shape, &events);
        }
    }
}

fn floors(group: &mut Group<'_>) {
    let events = corpus::events(Position::Last);
    let mut line = line_buffer();
    bench(group, "memcpy", &events, |event| {
        line[..event.len()].copy_from_slice(event);
        black_box(&line[..event.len()]);
    });
    bench(group, "simdutf8", &events, |event| {
        black_box(simdutf8::basic::from_utf8(event).expect("UTF-8"));
    });
}

fn competitors(group: &mut Group<'_>) {
    let events = corpus::events(Position::Last);
    bench(group, "sonic-rs-validate", &events, |event| {
        black_box(sonic_rs::from_slice::<sonic_rs::LazyValue<'_>>(event).expect("JSON"));
    });

    let mut copy = line_buffer();
    let mut buffers = simd_json::Buffers::new(4096);
    let mut spare = simd_json::Tape::null();
    bench(group, "simd-json-tape", &events, |event| {
        let copy = &mut copy[..event.len() + simd_json::INPUT_PADDING];
        copy[..event.len()].copy_from_slice(event);
        let mut tape = std::mem::replace(&mut spare, simd_json::Tape::null()).reset();
        simd_json::fill_tape_padded(copy, event.len(), &mut buffers, &mut tape).expect("JSON");
        black_box(&tape);
        spare = tape.reset();
    });

    bench(group, "serde_json-rawvalue", &events, |event| {
        black_box(serde_json::from_slice::<&serde_json::value::RawValue>(event).expect("JSON"));
    });

    let mut line = Vec::with_capacity(1 << 20);
    bench(group, "serde_json-roundtrip", &events, |event| {
        let mut body: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(event).expect("JSON");
        let Some(serde_json::Value::String(name)) = body.shift_remove("event") else {
            panic!("no event")
        };
        line.clear();
        serde_json::to_writer(&mut line, &serde_json::Map::from_iter([(name, body.into())]))
            .expect("a line");
        line.push(b'\n');
        black_box(&line);
    });
}

fn rewrite(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewrite");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    cdrlog(&mut group);
    floors(&mut group);
    competitors(&mut group);
    group.finish();
}

criterion_group!(benches, rewrite);
criterion_main!(benches);
