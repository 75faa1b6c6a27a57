//! Classes of bytes by two lookups: one for the high half of a byte, one for its low half.

use super::bytes::ByteOps;
use super::mask::MaskOps;

/// For each half of a byte, the classes that a byte with that half may be in, a bit for each class.
/// A byte is in the classes that both of its halves have.
///
/// So the bytes of a class are a rectangle in the table of ASCII: some rows, some columns, and
/// everything where they meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfTables {
    pub(super) low: [u8; 16],
    pub(super) high: [u8; 16],
}

impl HalfTables {
    /// Tables of eight classes, that of bit 0 first. Each is a pair: a bit for each high half, and a
    /// bit for each low half.
    #[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
    pub(crate) const fn new(classes: [(u16, u16); 8]) -> Self {
        let (mut low, mut high) = ([0; 16], [0; 16]);
        let mut class = 0;
        while class < 8 {
            let (rows, columns) = classes[class];
            let mut half = 0;
            while half < 16 {
                high[half] |= ((rows >> half & 1) as u8) << class;
                low[half] |= ((columns >> half & 1) as u8) << class;
                half += 1;
            }
            class += 1;
        }
        Self { low, high }
    }

    /// The classes of `byte`, which are none if it is not ASCII.
    #[cfg(test)]
    pub(crate) fn of(&self, byte: u8) -> u8 {
        let classes = self.low[usize::from(byte & 0x0F)] & self.high[usize::from(byte >> 4)];
        if byte.is_ascii() { classes } else { 0 }
    }
}

/// What a processor does with a block to find which of its bytes may be neighbours.
pub(crate) trait Lookup: ByteOps + MaskOps<Mask = u64> {
    /// Whether there was a byte that [`see`](Self::see) looks for.
    type Seen: Copy;

    /// For each byte its classes, which are none if it is not ASCII.
    fn lookup(self, block: Self::Block, tables: &HalfTables) -> Self::Block;

    /// A block of the same byte.
    fn splat_byte(self, byte: u8) -> Self::Block;

    /// Each byte of `a` AND that of `b`.
    fn both(self, a: Self::Block, b: Self::Block) -> Self::Block;

    /// Each byte of `a` OR that of `b`.
    fn either(self, a: Self::Block, b: Self::Block) -> Self::Block;

    /// Each byte of `a` without the bits of that of `b`.
    fn without(self, a: Self::Block, b: Self::Block) -> Self::Block;

    /// All bits of each byte that is a space.
    fn spaces(self, block: Self::Block) -> Self::Block;

    /// For each byte of `block` the one before it, which for the first is the last one of `before`.
    fn previous(self, block: Self::Block, before: Self::Block) -> Self::Block;

    /// Nothing was seen.
    fn nothing_seen(self) -> Self::Seen;

    /// Also looks at `block`: for control characters, and bytes of 0x80 and above.
    fn see(self, seen: Self::Seen, block: Self::Block) -> Self::Seen;

    /// There was one of these.
    fn has_seen(self, seen: Self::Seen) -> bool;
}
