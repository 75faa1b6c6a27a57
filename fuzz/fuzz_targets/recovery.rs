//! Any bytes as journal segments, control file and end of the CDR: a recovery never panics, changes
//! no byte before the anchor, adds whole lines only, changes nothing where it gives up, and what it
//! repaired is not repaired again.
//!
//! The input says what to damage in the directory of a killed process: a byte that names the file,
//! two of an offset, one of a length, then so many bytes to be put there. Checksums are made to fit
//! again, so that the fuzzer gets behind them.

#![no_main]

mod left;

use left::Left;

libfuzzer_sys::fuzz_target!(|damage: &[u8]| Left::behind().damaged_by(damage).check());
