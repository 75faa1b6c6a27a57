//! What rewrites or validates an event: cdrlog with each set of instructions, and JSON libraries.

#![allow(dead_code, clippy::allow_attributes, reason = "each bench needs a part of it")]

use std::hint::black_box;

use cdrlog::{Instructions, Rewriter};

/// More bytes than any event of the benches has.
pub const EVENT_BYTES_MAX: usize = 2 << 20;

type Work = Box<dyn FnMut(&[u8])>;

/// One that works on events, with the buffers that it uses again and again.
pub struct Contender {
    pub name: &'static str,
    work: Work,
}

impl Contender {
    /// Works on each event, one after the other.
    pub fn run(&mut self, events: &[Vec<u8>]) {
        for event in events {
            (self.work)(black_box(event));
        }
    }
}

/// cdrlog with each set of instructions that this processor has, and then the others, which only
/// validate: they keep nothing of the event and write no line.
pub fn contenders() -> Vec<Contender> {
    let others = [sonic_rs(), simd_json(), serde_json()];
    Instructions::available().map(cdrlog).chain(others).collect()
}

pub fn cdrlog(instructions: Instructions) -> Contender {
    let rewriter = Rewriter::with_event_bytes_max(EVENT_BYTES_MAX).with_instructions(instructions);
    let mut line = vec![0; EVENT_BYTES_MAX];
    let work = move |event: &[u8]| {
        let length = rewriter.rewrite_into(event, &mut line).expect("an event");
        black_box(&line[..length]);
    };
    Contender { name: instructions.name(), work: Box::new(work) }
}

pub fn sonic_rs() -> Contender {
    let work = |event: &[u8]| {
        black_box(sonic_rs::from_slice::<sonic_rs::LazyValue<'_>>(event).expect("JSON"));
    };
    Contender { name: "sonic-rs", work: Box::new(work) }
}

pub fn simd_json() -> Contender {
    let mut copy = vec![0; EVENT_BYTES_MAX];
    let mut buffers = simd_json::Buffers::new(4096);
    let mut spare = simd_json::Tape::null();
    let work = move |event: &[u8]| {
        let copy = &mut copy[..event.len() + simd_json::INPUT_PADDING];
        copy[..event.len()].copy_from_slice(event);
        let mut tape = std::mem::replace(&mut spare, simd_json::Tape::null()).reset();
        simd_json::fill_tape_padded(copy, event.len(), &mut buffers, &mut tape).expect("JSON");
        black_box(&tape);
        spare = tape.reset();
    };
    Contender { name: "simd-json", work: Box::new(work) }
}

pub fn serde_json() -> Contender {
    let work = |event: &[u8]| {
        black_box(serde_json::from_slice::<&serde_json::value::RawValue>(event).expect("JSON"));
    };
    Contender { name: "serde_json", work: Box::new(work) }
}
