//! Any bytes as an inbox file: reading it back never panics, never gives more than is in it, and what
//! was not touched is given as it was.
//!
//! The input says what to damage: three bytes of an offset, one of a length, then so many bytes to be
//! put there. The checksum of the header is made to fit again, so that the fuzzer gets behind it.

#![no_main]

use std::fs;
use std::sync::OnceLock;

use cdrlog::fuzzing::{bodies_in_inbox, inbox_with};

const CHECKED_BYTES: usize = 96;

fn bodies() -> Vec<Vec<u8>> {
    (0..40_usize).map(|number| vec![b'a' + (number % 26) as u8; number * 37 % 700]).collect()
}

libfuzzer_sys::fuzz_target!(|damage: &[u8]| {
    static INBOX: OnceLock<Vec<u8>> = OnceLock::new();
    let bodies = bodies();
    let slices: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let mut inbox = INBOX.get_or_init(|| inbox_with(&slices)).clone();
    let mut rest = damage;
    while let [o0, o1, o2, length, later @ ..] = rest {
        let offset = u32::from_le_bytes([*o0, *o1, *o2, 0]) as usize % inbox.len();
        let count = usize::from(*length).min(later.len()).min(inbox.len() - offset);
        inbox[offset..offset + count].copy_from_slice(&later[..count]);
        rest = &later[count..];
    }
    let checksum = crc32c::crc32c(&inbox[..CHECKED_BYTES]);
    inbox[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
    let file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    fs::write(file.path(), &inbox).unwrap();
    let found = bodies_in_inbox(file.path());
    let found_bytes: usize = found.iter().flatten().map(Vec::len).sum();
    assert!(found_bytes <= inbox.len(), "more came out than was in");
    if damage.len() < 4 {
        assert!(found == Some(bodies), "an untouched inbox was not read back");
    }
});
