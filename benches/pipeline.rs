//! Events a second into a file, every line delivered and counted.
//!
//! One iteration is a life: N events of about 275 bytes from 1, 2 or 4 producers, timed from the
//! first `send` to the end of `close`. Then the lines in the file are counted, and must be N.
//!
//! ```sh
//! cargo bench --bench pipeline                                   # all, some minutes
//! cargo bench --bench pipeline -- 'cdrlog/|tracing-appender-raw' # what to compare with
//! CDRLOG_BENCH_DIR=/mnt/other cargo bench --bench pipeline       # on another file system
//! ```

mod common;
mod corpus;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use common::ours::{CdrlogBytes, CdrlogSlice};
use common::peers::{MutexBufWriter, MutexRewriter, Spdlog, TracingRaw, TracingSerde};
use common::{CORPUS, EVENTS, EVENTS_TEST, Logger, Sender};
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
    criterion_main,
};

type Group<'c> = BenchmarkGroup<'c, WallTime>;

const PRODUCERS: [usize; 3] = [1, 2, 4];

/// The block of the floors: as large as any that is written at once.
const BLOCK_BYTES: usize = 1 << 20;

fn events() -> usize {
    if common::is_test() { EVENTS_TEST } else { EVENTS }
}

fn life<L: Logger>(producers: usize) -> Duration {
    let events = events() / producers;
    let run = common::run::<L, ()>(producers, events, |sender, first| {
        let taken = (first..first + events).filter(|&number| sender.send(number)).count();
        assert_eq!(taken, events, "an event was refused");
        (taken, ())
    });
    run.elapsed
}

fn bench<L: Logger>(group: &mut Group<'_>, name: &str) {
    for producers in PRODUCERS {
        group.bench_function(BenchmarkId::new(name, producers), |bencher| {
            bencher.iter_custom(|lives| (0..lives).map(|_| life::<L>(producers)).sum());
        });
    }
}

/// The lines of all events, in blocks.
fn blocks() -> Vec<Vec<u8>> {
    let mut blocks = vec![Vec::with_capacity(BLOCK_BYTES)];
    for line in &CORPUS.lines {
        if blocks.last().is_some_and(|block| block.len() + line.len() > BLOCK_BYTES) {
            blocks.push(Vec::with_capacity(BLOCK_BYTES));
        }
        if let Some(block) = blocks.last_mut() {
            block.extend_from_slice(line.as_bytes());
        }
    }
    blocks
}

/// Nothing but `write(2)` of finished blocks of lines, as many bytes as the others write.
fn write_alone(blocks: &[Vec<u8>]) -> Duration {
    let directory = common::directory();
    let mut file = File::create(directory.path().join("floor.log")).expect("a file");
    let begin = Instant::now();
    for _ in 0..events() / corpus::EVENTS {
        for block in blocks {
            file.write_all(block).expect("a write");
        }
    }
    begin.elapsed()
}

/// Nothing but one copy of every event.
fn memcpy_alone(block: &mut [u8]) -> Duration {
    let begin = Instant::now();
    let mut end = 0;
    for number in 0..events() {
        let body = CORPUS.body(number);
        if end + body.len() > block.len() {
            end = 0;
        }
        block[end..end + body.len()].copy_from_slice(body);
        end += body.len();
        black_box(&block[..end]);
    }
    begin.elapsed()
}

fn floors(group: &mut Group<'_>) {
    let blocks = blocks();
    group.bench_function(BenchmarkId::new("floor-write", 1), |bencher| {
        bencher.iter_custom(|lives| (0..lives).map(|_| write_alone(&blocks)).sum());
    });
    let mut block = vec![0; BLOCK_BYTES];
    group.bench_function(BenchmarkId::new("floor-memcpy", 1), |bencher| {
        bencher.iter_custom(|lives| (0..lives).map(|_| memcpy_alone(&mut block)).sum());
    });
}

fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group
        .throughput(Throughput::Elements(events() as u64))
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(4));
    bench::<CdrlogSlice>(&mut group, "cdrlog");
    bench::<CdrlogBytes>(&mut group, "cdrlog-bytes");
    bench::<TracingRaw>(&mut group, "tracing-appender-raw");
    bench::<TracingSerde>(&mut group, "tracing-appender-serde");
    bench::<Spdlog>(&mut group, "spdlog-rs");
    bench::<MutexRewriter>(&mut group, "mutex-rewriter");
    bench::<MutexBufWriter>(&mut group, "mutex-bufwriter");
    floors(&mut group);
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
