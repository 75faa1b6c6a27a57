//! How many times as fast as others cdrlog rewrites, on a machine whose speed changes from one second
//! to the next: all work in turns of less than a millisecond, and only turns that follow each other
//! are compared.

mod contenders;
mod corpus;

use std::env;
use std::time::Instant;

use contenders::{Contender, contenders};
use corpus::shapes::shapes;

/// How many bytes of events a turn takes about: a quarter of a millisecond at a gigabyte per second.
const TURN_BYTES: usize = 256 << 10;

/// How often each has its turn.
const ROUNDS: usize = 400;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let wanted: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let mut contenders = contenders();
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    println!("Nanoseconds for each byte of the events (how many times as fast as sonic-rs):\n");
    println!("| | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for (shape, mut events) in shapes() {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| *wanted == shape) {
            continue;
        }
        let mut bytes = 0;
        let turn = events.iter().take_while(|event| {
            bytes += event.len();
            bytes <= TURN_BYTES
        });
        // One large event is a turn, too, and a single small one is worked on again and again.
        let turn = turn.count().max(1);
        events.truncate(turn);
        let bytes: usize = events.iter().map(Vec::len).sum();
        let events: Vec<Vec<u8>> =
            std::iter::repeat_n(events, (TURN_BYTES / bytes).max(1)).flatten().collect();
        print_row(shape, &events, &mut contenders, if is_test { 1 } else { ROUNDS });
    }
}

fn print_row(shape: &str, events: &[Vec<u8>], contenders: &mut [Contender], rounds: usize) {
    let mut rounds_ns: Vec<Vec<f64>> = Vec::new();
    for _ in 0..rounds {
        let turns = contenders.iter_mut().map(|contender| {
            let start = Instant::now();
            contender.run(events);
            start.elapsed().as_nanos() as f64
        });
        rounds_ns.push(turns.collect());
    }
    let sonic = contenders.iter().position(|contender| contender.name == "sonic-rs");
    let sonic = sonic.expect("sonic-rs is one of them");
    let bytes: usize = events.iter().map(Vec::len).sum();
    print!("| {shape} ");
    for index in 0..contenders.len() {
        let ns = median(rounds_ns.iter().map(|turns| turns[index]).collect());
        let times = median(rounds_ns.iter().map(|turns| turns[sonic] / turns[index]).collect());
        print!("| {:.3} ({times:.2}) ", ns / bytes as f64);
    }
    println!("|");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
