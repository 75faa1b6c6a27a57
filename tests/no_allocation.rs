//! The rewriter allocates nothing for an event, accepted or rejected.
//!
//! A program of its own: the allocator that counts is the one of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cdrlog::Rewriter;

/// The system's allocator, which counts what each thread takes from it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promises that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises that `System` asks for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promises that `System` asks for.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[test]
fn no_event_takes_memory_once_the_rewriter_is_there() {
    let rewriter = Rewriter::new();
    let mut line = vec![0; 1 << 20];
    let deep = format!(r#"{{"event":"x","v":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    let long = format!(r#"{{"v":"{}\u00e9","event":"x"}}"#, "v".repeat(900_000));
    let others = [
        &deep,
        &long,
        r#"{"\u0065vent":"x"}"#,
        "{\n\"event\":\"x\"\n}",
        "{",
        "[]",
        "{\"event\":1}",
    ];
    let bodies = || include_str!("data/webhooks.jsonl").lines().chain(others);

    let _ = rewriter.rewrite_into(b"{}", &mut line);
    let before = ALLOCATIONS.get();
    let mut accepted = 0;
    for body in bodies() {
        accepted += usize::from(rewriter.rewrite_into(body.as_bytes(), &mut line).is_ok());
        accepted += usize::from(
            rewriter.rewrite_into(&body.as_bytes()[..body.len() - 1], &mut line).is_ok(),
        );
    }
    let after = ALLOCATIONS.get();
    assert_eq!(after - before, 0);
    assert_eq!(accepted, 51 + 4);
}
