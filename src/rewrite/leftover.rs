//! What the masks of a batch leave to be looked at one by one: odd bytes, brackets, and keys that may
//! be `event`.

use super::grammar::{Found, KEY, KEY_SPAN};
use super::levels::Nesting64;
use super::token;
use crate::vector::BLOCK_BYTES;

/// How many blocks are a batch.
pub(super) const BATCH_BLOCKS: usize = 8;

/// A mask for each block of a batch.
pub(super) type Plane = [u64; BATCH_BLOCKS];

/// Why a text is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not valid, or has something that only the portable scan handles.
    Fault,
    /// There is more whitespace between tokens than the scan was told.
    Whitespace,
}

/// The masks of a batch. Those after the quotes are first of all bytes, then of those outside of
/// strings.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) start: usize,
    pub(super) blocks: usize,
    /// Not valid, whatever the masks say.
    pub(super) is_faulty: bool,
    /// The quotes that are not escaped.
    pub(super) quotes: Plane,
    /// Bytes that may not follow the one before.
    pub(super) odd: Plane,
    pub(super) brackets: Plane,
    pub(super) colons: Plane,
    /// Only of texts with spaces between tokens.
    pub(super) spaces: Plane,
    /// Colons without a key, and what is no colon just after a string that does not follow a colon.
    pub(super) unpaired: Plane,
    /// Where a key may be `event`: closing quotes of keys that are as long, and backslashes in keys of
    /// unusual batches.
    pub(super) event_ends: Plane,
}

impl Batch {
    #[inline(always)]
    pub(super) fn new(start: usize, blocks: usize) -> Self {
        Self { start, blocks, ..Self::default() }
    }
}

fn any(plane: &Plane) -> u64 {
    plane.iter().fold(0, |any, block| any | block)
}

/// What has been looked at so far in a text.
pub(super) struct Leftover<'text> {
    text: &'text [u8],
    /// There may be single spaces between tokens.
    is_spaced: bool,
    /// Where the key `event` is expected.
    guess: Option<usize>,
    /// The opening quote of the root's key `event`, once found.
    event_key: Option<usize>,
    nesting: Nesting64,
    /// Odd bytes before are explained.
    explained_end: usize,
}

impl<'text> Leftover<'text> {
    #[inline(always)]
    pub(super) fn new(text: &'text [u8], guess: Option<usize>, is_spaced: bool) -> Self {
        let nesting = Nesting64::in_root();
        Self { text, is_spaced, guess, event_key: None, nesting, explained_end: 0 }
    }

    /// Takes a batch; `any` is 0 if nothing is odd, no bracket, and nothing unpaired.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a block that no batch has is a bug of ours")]
    pub(super) fn batch(&mut self, batch: &mut Batch, any: u64) -> Result<(), Refusal> {
        if any != 0 || !self.nesting.is_in_root() {
            self.one_by_one(batch)?;
        }
        // Mostly the guess is the only candidate: then it is the key.
        if let Some(guess) = self.guess
            && let Some(end) = (guess + KEY_SPAN as usize).checked_sub(batch.start)
            && end < BATCH_BLOCKS * BLOCK_BYTES
        {
            let ends = &mut batch.event_ends[end / BLOCK_BYTES];
            let guessed = *ends & 1 << (end % BLOCK_BYTES);
            *ends ^= guessed;
            if guessed != 0 && self.event_key.replace(guess).is_some() {
                return Err(Refusal::Fault);
            }
        }
        if self::any(&batch.event_ends) != 0 { self.find_event_key(batch) } else { Ok(()) }
    }

    #[inline(never)]
    fn one_by_one(&mut self, batch: &mut Batch) -> Result<(), Refusal> {
        if any(&batch.odd) != 0 {
            self.odd_bytes(batch)?;
        }
        let faults = if any(&batch.brackets) != 0 || !self.nesting.is_in_root() {
            self.levels(batch)
        } else {
            any(&batch.unpaired)
        };
        if batch.is_faulty | (faults != 0) { Err(Refusal::Fault) } else { Ok(()) }
    }

    /// Explains each odd byte. Notes what may be in an array only as unpaired.
    #[expect(clippy::indexing_slicing, reason = "a byte that no text has is a bug of ours")]
    fn odd_bytes(&mut self, batch: &mut Batch) -> Result<(), Refusal> {
        for lane in 0..batch.blocks {
            let start = batch.start + lane * BLOCK_BYTES;
            let mut odd = batch.odd[lane];
            loop {
                let explained = self.explained_end.saturating_sub(start);
                odd &= u64::MAX.checked_shl(explained as u32).unwrap_or(0);
                if odd == 0 {
                    break;
                }
                let bit = odd.trailing_zeros();
                let at = start + bit as usize;
                let before = self.token_before(at)?;
                if matches!(before, b',' | b'[' | b'{') {
                    batch.unpaired[lane] |= 1 << bit;
                }
                self.explained_end = self.explained_end_at(before, at)?;
            }
        }
        Ok(())
    }

    /// The last byte of the token before the odd byte at `at`.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a byte that no text has is a bug of ours")]
    fn token_before(&self, at: usize) -> Result<u8, Refusal> {
        match self.text[..at] {
            [] => Ok(b'{'),
            [.., b' '] => self.token_before_space(at - 1),
            [.., before] => Ok(before),
        }
    }

    /// The same for the odd byte after the space at `space`.
    #[cold]
    #[expect(clippy::indexing_slicing, reason = "a byte that no text has is a bug of ours")]
    fn token_before_space(&self, space: usize) -> Result<u8, Refusal> {
        match self.text[..space] {
            [] => Ok(b'{'),
            // What may be odd after a space is the same as after what is before the space.
            [.., before @ (b',' | b'[' | b'{' | b':')] => Ok(before),
            // More spaces than one, or the end of a word, of which the masks know nothing.
            _ => Err(Refusal::Whitespace),
        }
    }

    /// Up to where the odd byte at `at`, which follows `before`, is explained: by a number or a word,
    /// and the byte that ends it, or as a bracket in an array.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a byte that no text has is a bug of ours")]
    fn explained_end_at(&self, before: u8, at: usize) -> Result<usize, Refusal> {
        let byte = self.text[at];
        if token::is_whitespace(byte) {
            return Err(Refusal::Whitespace);
        }
        let end = match before {
            b',' | b'[' | b'{' if matches!(byte, b'{' | b'[') => return Ok(at + 1),
            b',' | b'[' | b'{' | b':' => token::common_word_end(self.text, at)
                .or_else(|| token::scalar_around(self.text, at)),
            b'0'..=b'9' => token::scalar_around(self.text, at),
            _ => None,
        };
        let end = end.ok_or(Refusal::Fault)?;
        match self.text.get(end) {
            Some(b' ') if self.is_spaced => Ok(end + 1),
            Some(&byte) if token::is_whitespace(byte) => Err(Refusal::Whitespace),
            _ => Ok(end + 1),
        }
    }

    /// Follows the brackets; the rest depends on what is directly in an object. Gives a bit of each
    /// fault.
    #[expect(clippy::indexing_slicing, reason = "by block, of which there are as many as lanes")]
    fn levels(&mut self, batch: &mut Batch) -> u64 {
        let mut nesting = self.nesting;
        let mut faults = 0;
        for lane in 0..batch.blocks {
            let start = batch.start + lane * BLOCK_BYTES;
            let levels = nesting.block(start, batch.brackets[lane], self.text);
            let in_object = levels.in_object;
            faults |= batch.unpaired[lane] & in_object | batch.colons[lane] & !in_object;
            batch.event_ends[lane] &= levels.in_root;
        }
        self.nesting = nesting;
        faults
    }

    /// Looks which of the root's keys that may be `event` is. One with an escape is left to the
    /// portable scan.
    #[cold]
    #[inline(never)]
    #[expect(clippy::indexing_slicing, reason = "a key outside the text is a bug of ours")]
    fn find_event_key(&mut self, batch: &Batch) -> Result<(), Refusal> {
        for lane in 0..batch.blocks {
            let mut ends = batch.event_ends[lane];
            while ends != 0 {
                let bit = ends.trailing_zeros() as usize;
                ends &= ends - 1;
                let at = batch.start + lane * BLOCK_BYTES + bit;
                let key_start = at.saturating_sub(KEY_SPAN as usize);
                let is_twice = self.text[key_start..=at] == *KEY
                    && self.event_key.replace(key_start).is_some();
                if is_twice || self.text[at] == b'\\' {
                    return Err(Refusal::Fault);
                }
            }
        }
        Ok(())
    }

    /// What has been found, if everything that was opened has ended.
    #[inline(always)]
    pub(super) fn found(&self) -> Result<Found, Refusal> {
        let text = self.text;
        let text = if self.is_spaced { text.trim_ascii_end() } else { text };
        let is_complete = self.nesting.is_in_root() && !matches!(text.last(), Some(b',' | b':'));
        let event_key = self.event_key.filter(|_| is_complete).ok_or(Refusal::Fault)?;
        Ok(Found { key_start: event_key, has_newlines: false })
    }
}
