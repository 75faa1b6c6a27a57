//! How fast a body becomes a line, beside what others need only to find it valid.
//!
//! One iteration is the whole corpus, or one large event. The competitors do less than we do: they
//! neither keep the bytes nor write a line. Ours is measured with each set of vector instructions
//! that the processor has: `avx2/event-last` and the like.

mod contenders;
mod corpus;

use std::hint::black_box;
use std::time::Duration;

use cdrlog::{Instructions, Rewriter};
use contenders::{Contender, EVENT_BYTES_MAX};
use corpus::Position;
use corpus::shapes::shapes;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

type Group<'c> = BenchmarkGroup<'c, criterion::measurement::WallTime>;

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

/// The same with what `contender` does.
fn bench_contender(group: &mut Group<'_>, id: &str, events: &[Vec<u8>], mut contender: Contender) {
    group.throughput(Throughput::Bytes(bytes_of(events)));
    group.bench_function(id, |bencher| bencher.iter(|| contender.run(events)));
}

/// Checks once that each event is accepted and that its line holds the same members.
fn check_lines(instructions: Instructions, events: &[Vec<u8>]) {
    let rewriter = Rewriter::with_event_bytes_max(EVENT_BYTES_MAX).with_instructions(instructions);
    let mut line = vec![0; EVENT_BYTES_MAX];
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
}

fn cdrlog(group: &mut Group<'_>) {
    eprint!("corpus: {}", corpus::describe(&corpus::events(Position::Last)));
    for (shape, events) in shapes() {
        for instructions in Instructions::available() {
            check_lines(instructions, &events);
            let id = format!("{instructions}/{shape}");
            bench_contender(group, &id, &events, contenders::cdrlog(instructions));
        }
    }
}

fn floors(group: &mut Group<'_>) {
    let events = corpus::events(Position::Last);
    let mut line = vec![0; EVENT_BYTES_MAX];
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
    bench_contender(group, "sonic-rs-validate", &events, contenders::sonic_rs());
    bench_contender(group, "simd-json-tape", &events, contenders::simd_json());
    bench_contender(group, "serde_json-rawvalue", &events, contenders::serde_json());

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
