//! How fast a body becomes a line, beside what others need only to find it valid.
//!
//! One iteration is the whole corpus, or one large event. The competitors do less than we do: they
//! neither keep the bytes nor write a line.

mod corpus;

use std::hint::black_box;
use std::time::Duration;

use cdrlog::Rewriter;
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
fn bench_cdrlog(group: &mut Group<'_>, id: &str, events: &[Vec<u8>]) {
    let rewriter = Rewriter::with_event_bytes_max(2 << 20);
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
    bench(group, id, events, |event| {
        let length = rewriter.rewrite_into(event, &mut line).expect("an event");
        black_box(&line[..length]);
    });
}

fn cdrlog(group: &mut Group<'_>) {
    let last = corpus::events(Position::Last);
    eprint!("corpus: {}", corpus::describe(&last));
    bench_cdrlog(group, "cdrlog/event-last", &last);
    bench_cdrlog(group, "cdrlog/event-first", &corpus::events(Position::First));
    bench_cdrlog(group, "cdrlog/nested", &corpus::nested_events());
    for (size, bytes) in [("1KB", 1_000), ("100KB", 100_000), ("1MB", 1_000_000)] {
        bench_cdrlog(
            group,
            &format!("cdrlog/large-{size}"),
            &[corpus::large_structured_event(bytes)],
        );
    }
    for (kind, words) in [("plain", PLAIN), ("escapes", ESCAPES), ("nonascii", NON_ASCII)] {
        bench_cdrlog(
            group,
            &format!("cdrlog/{kind}-100KB"),
            &[corpus::large_event(100_000, words)],
        );
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
