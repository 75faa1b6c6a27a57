//! The fast scan for JSON without whitespace between its tokens, which is what servers send, or with
//! single spaces, which is what the others send.
//!
//! Most of the grammar is then about two bytes that are neighbours, and two lookups tell for all
//! bytes of a register which may not be ([`neighbours`](super::neighbours)): these are *odd*. The
//! rest is arithmetic on masks of 64 bits, a bit for each byte, as in [`grammar`](super::grammar);
//! docs/grammar.md explains it with drawings.
//!
//! A text is read in batches of eight blocks. First all masks of a batch are made, in vector
//! registers; then they are related to each other, in general registers; and only what is left is
//! looked at one by one ([`leftover`](super::leftover)). So the branches of an event are a few, and
//! mostly go the same way.
//!
//! With spaces a byte is held against the one before the space. That takes a few instructions more, so
//! it is compiled for itself (`SPACED`).
//!
//! A text in which a batch has an escape other than `\"`, a control character, or bytes that are not
//! ASCII takes a second way through that batch ([`Unusual`]).

use super::escapes::Escapes;
use super::grammar::{Found, KEY_SPAN};
use super::leftover::{BATCH_BLOCKS, Batch, Leftover, Plane, Refusal};
use super::neighbours::BEFORE;
use super::reading::Reading;
use crate::vector::{BLOCK_BYTES, Lookup, Task, Vector, Window, carrying_add};

const BATCH_BYTES: usize = BATCH_BLOCKS * BLOCK_BYTES;

/// What a block says about the next.
#[derive(Clone, Copy, Default)]
struct Carries {
    /// All ones if it starts inside a string.
    in_string: u64,
    /// Bit 0: it starts just after one of these.
    after_colon: u64,
    after_key: u64,
    /// A string goes on that does not follow a colon.
    in_key: bool,
    /// The last [`KEY_SPAN`] bits of the opening quotes of keys, at the low end.
    key_starts: u64,
}

/// The scan of one text.
struct Scan<'text, V: Vector + Lookup, const SPACED: bool> {
    vector: V,
    text: &'text [u8],
    /// A block that ends with the text.
    last_block: &'text [u8; BLOCK_BYTES],
    /// What the bytes of the last block read say about the byte after them.
    before: V::Block,
    carries: Carries,
    escapes: Escapes,
    leftover: Leftover<'text>,
    is_ascii: bool,
}

/// Finds the only key `event` in `text`, which is what is between the braces of the root.
///
/// `guess` is a place where the key is, but perhaps no key. With `SPACED` there may be single spaces
/// between tokens.
#[inline(always)]
pub(super) fn find_event<V: Vector + Lookup, const SPACED: bool>(
    vector: V,
    text: &[u8],
    guess: Option<usize>,
) -> Result<Found, Refusal> {
    // What comes before the text is the root's brace.
    let mut padded = [b'{'; BLOCK_BYTES];
    let last_block = match text.last_chunk() {
        Some(block) => block,
        None => {
            let (_, end) = padded.split_at_mut(BLOCK_BYTES - text.len());
            end.copy_from_slice(text);
            &padded
        }
    };
    let scan = Scan::<V, SPACED> {
        vector,
        text,
        last_block,
        before: vector.lookup(vector.splat_byte(b'{'), &BEFORE),
        carries: Carries::default(),
        escapes: Escapes::default(),
        leftover: Leftover::new(text, guess, SPACED),
        is_ascii: true,
    };
    // Most events are one batch: then the compiler knows what is carried into it.
    if text.len() <= BATCH_BYTES { scan.one_batch() } else { vector.run(ManyBatches(scan)) }
}

struct ManyBatches<'text, V: Vector + Lookup, const SPACED: bool>(Scan<'text, V, SPACED>);

impl<S: Vector + Lookup, const SPACED: bool> Task for ManyBatches<'_, S, SPACED> {
    type Output = Result<Found, Refusal>;

    #[inline(always)]
    fn run<V: Vector>(self, _: V) -> Self::Output {
        let Self(mut scan) = self;
        let mut start = 0;
        for bytes in scan.text.chunks(BATCH_BYTES) {
            scan.batch(start, bytes)?;
            start += BATCH_BYTES;
        }
        scan.found()
    }
}

impl<V: Vector + Lookup, const SPACED: bool> Scan<'_, V, SPACED> {
    #[inline(always)]
    fn one_batch(mut self) -> Result<Found, Refusal> {
        self.batch(0, self.text)?;
        self.found()
    }

    /// Takes the batch `bytes`, which starts at `start`.
    #[inline(always)]
    fn batch(&mut self, start: usize, bytes: &[u8]) -> Result<(), Refusal> {
        let mut batch = Batch::new(start, bytes.len().div_ceil(BLOCK_BYTES));
        let escapes = self.escapes;
        let is_unusual = self.read(bytes, &mut batch);
        let any = if is_unusual | (escapes.pending() != 0) {
            self.vector.run(Unusual { scan: self, escapes, batch: &mut batch })
        } else {
            self.relate(&mut batch, |_, _, _| {})
        };
        self.leftover.batch(&mut batch, any)
    }

    /// Makes the masks of a batch. True if there is something unusual, so that the quotes are not
    /// right yet.
    #[inline(always)]
    fn read(&mut self, bytes: &[u8], batch: &mut Batch) -> bool {
        let (blocks, tail) = bytes.as_chunks::<BLOCK_BYTES>();
        let mut reading = Reading {
            vector: self.vector,
            before: self.before,
            seen: self.vector.nothing_seen(),
            escaped: 0,
            unusual: 0,
        };
        for (lane, block) in blocks.iter().enumerate() {
            reading.block::<SPACED>(batch, lane, block, 0);
        }
        if !tail.is_empty() {
            let skipped = BLOCK_BYTES - tail.len();
            reading.block::<SPACED>(batch, blocks.len(), self.last_block, skipped as u32);
        }
        self.before = reading.before;
        self.escapes = Escapes::after(reading.escaped);
        self.vector.has_seen(reading.seen) | (reading.unusual != 0)
    }

    /// Relates the masks of a batch to each other. Gives a bit of each that is to be looked at.
    ///
    /// Tells `note` for each lane what is inside of strings, and of keys among them.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "by block, of which there are as many as lanes")]
    fn relate(&mut self, batch: &mut Batch, mut note: impl FnMut(usize, u64, u64)) -> u64 {
        let mut any = 0;
        let mut carries = self.carries;
        for lane in 0..batch.blocks {
            let quotes = batch.quotes[lane];
            let inside = self.vector.prefix_xor_lane(quotes) ^ carries.in_string;
            // After the opening quote of a string, up to its closing quote.
            let within = (inside << 1).wrapping_sub(carries.in_string);
            carries.in_string = (inside.cast_signed() >> 63).cast_unsigned();
            let colons = batch.colons[lane] & !inside;
            let brackets = batch.brackets[lane] & !inside;
            let odd = batch.odd[lane] & !within;

            let spaces = if SPACED { batch.spaces[lane] & !inside } else { 0 };

            // Strings that do not follow a colon: keys in an object, items in an array.
            let key_starts =
                quotes & inside & !follow::<SPACED>(colons, spaces, &mut carries.after_colon);
            let (ripple, in_key) = carrying_add(inside, key_starts, carries.in_key);
            carries.in_key = in_key;
            let key_ends = ripple & !inside;
            let unpaired = colons ^ follow::<SPACED>(key_ends, spaces, &mut carries.after_key);
            let event_ends = (key_starts << KEY_SPAN | carries.key_starts) & quotes & !inside;
            carries.key_starts = key_starts >> (u64::BITS - KEY_SPAN);

            batch.odd[lane] = odd;
            batch.brackets[lane] = brackets;
            batch.colons[lane] = colons;
            batch.unpaired[lane] = unpaired;
            batch.event_ends[lane] = event_ends;
            any |= odd | brackets | unpaired;
            note(lane, inside, inside & !ripple);
        }
        self.carries = carries;
        any
    }

    /// What has been found, if everything that was opened has ended.
    #[inline(always)]
    fn found(&self) -> Result<Found, Refusal> {
        let is_complete = self.escapes.pending() == 0
            && self.carries.in_string == 0
            && self.carries.after_key == 0
            && (self.is_ascii || simdutf8::basic::from_utf8(self.text).is_ok());
        if is_complete { self.leftover.found() } else { Err(Refusal::Fault) }
    }
}

/// The places just after `tokens`, spaces skipped. `carry` is bit 0 of it from the block before, and
/// becomes that for the next.
///
/// A place that is a space is the start of a run of them, so that adding it to the run leaves the one
/// bit just after the run.
#[inline(always)]
fn follow<const SPACED: bool>(tokens: u64, spaces: u64, carry: &mut u64) -> u64 {
    let after = tokens << 1 | *carry;
    *carry = tokens >> 63;
    if !SPACED {
        return after;
    }
    let (past_spaces, overflow) = spaces.overflowing_add(after & spaces);
    *carry |= u64::from(overflow);
    (after | past_spaces) & !spaces
}

/// The second way through a batch: with escapes of every kind, control characters, and bytes that are
/// not ASCII.
struct Unusual<'scan, 'text, V: Vector + Lookup, const SPACED: bool> {
    scan: &'scan mut Scan<'text, V, SPACED>,
    /// As they were before the batch.
    escapes: Escapes,
    batch: &'scan mut Batch,
}

impl<S: Vector + Lookup, const SPACED: bool> Task for Unusual<'_, '_, S, SPACED> {
    /// As that of [`Scan::relate`].
    type Output = u64;

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "by block, of which there are as many as lanes")]
    fn run<V: Vector>(self, _: V) -> u64 {
        let Self { scan, mut escapes, batch } = self;
        let vector = scan.vector;
        let mut others = [[0; 3]; BATCH_BLOCKS];
        let mut insides = Plane::default();
        let mut keys = Plane::default();
        let mut faults = 0;
        for (lane, others) in others.iter_mut().enumerate().take(batch.blocks) {
            let start = batch.start + lane * BLOCK_BYTES;
            let window = Window::at(vector, scan.text, start);
            let [quotes, backslashes, controls, non_ascii] = window.unusual();
            *others = [backslashes, controls, non_ascii];
            batch.quotes[lane] = quotes;
            if backslashes != 0 || escapes.pending() != 0 {
                let (escaped, invalid) =
                    escapes.block(vector, (backslashes, quotes), scan.text, start);
                batch.quotes[lane] = quotes & !escaped;
                faults |= invalid;
            }
        }
        scan.escapes = escapes;
        let any = scan.relate(batch, |lane, inside, key| {
            insides[lane] = inside;
            keys[lane] = key;
        });
        // What is after the last block is all 0.
        for (lane, [backslashes, controls, non_ascii]) in others.into_iter().enumerate() {
            faults |= controls & insides[lane] | non_ascii & !insides[lane];
            scan.is_ascii &= non_ascii == 0;
            batch.event_ends[lane] |= backslashes & keys[lane];
        }
        batch.is_faulty |= faults != 0;
        any | faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::WorkOfWidth;

    /// What the scan for single spaces makes of a text, in which the event is not guessed.
    struct FindSpaced<'text>(&'text [u8]);

    impl WorkOfWidth for FindSpaced<'_> {
        type Output = Option<Refusal>;

        fn narrow<V: Vector + Lookup>(self, vector: V) -> Option<Refusal> {
            find_event::<V, true>(vector, self.0, None).err()
        }

        fn wide<V: Vector>(self, _: V) -> Option<Refusal> {
            unreachable!("no wide vector is tested here")
        }
    }

    fn single_spaces_are_not_left_to_the_grammar_of_any_whitespace<V: Vector>(vector: V) {
        // Padded so that each space is in every place of two blocks.
        for pad in 0..130 {
            let pad = "x".repeat(pad);
            for (text, refusal) in [
                (
                    r#""k": "PAD", "a": [1, true, {"b": null}], "n": -1.5, "z": 0, "event": "e""#,
                    None,
                ),
                (r#" "k" : "PAD" , "a" : [ 1 , [ ] , { } ] , "n" : 12 , "event" : "e" "#, None),
                (r#""k":"PAD", "event":"e", "a":["b", "c"], "d":[{"e":"f"}, {}]"#, None),
                (r#""k":"PAD",   "event":"e""#, Some(Refusal::Whitespace)),
                ("\"k\":\"PAD\",\n\"event\":\"e\"", Some(Refusal::Whitespace)),
                (r#""k":"PAD", "event":"e", "a" "b""#, Some(Refusal::Whitespace)),
                (r#""k":"PAD", "event":"e", "a":1 2"#, Some(Refusal::Whitespace)),
                (r#""k":"PAD", "event":"e", "a" "#, Some(Refusal::Fault)),
                (r#""k":"PAD", "event":"e", "a": "#, Some(Refusal::Fault)),
                (r#""k":"PAD", "event":"e", "#, Some(Refusal::Fault)),
                (r#""k":"PAD", "event":"e", "a": "b": 1"#, Some(Refusal::Fault)),
            ] {
                let text = text.replace("PAD", &pad);
                assert_eq!(vector.choose(FindSpaced(text.as_bytes())), refusal, "{text}");
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn single_spaces_are_not_left_to_the_grammar_of_any_whitespace_on_x86_64() {
        use crate::vector::{Avx2, Ssse3};
        if let Some(vector) = Avx2::detect() {
            single_spaces_are_not_left_to_the_grammar_of_any_whitespace(vector);
        }
        let ssse3 = Ssse3::detect().expect("every processor that this is tested on has SSSE3");
        single_spaces_are_not_left_to_the_grammar_of_any_whitespace(ssse3);
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn single_spaces_are_not_left_to_the_grammar_of_any_whitespace_on_aarch64() {
        let neon = crate::vector::Neon::detect().expect("every processor has NEON");
        single_spaces_are_not_left_to_the_grammar_of_any_whitespace(neon);
    }
}
