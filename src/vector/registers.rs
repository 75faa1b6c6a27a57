//! Blocks in several registers, for processors whose vectors are narrower than a block.

/// Implements what a processor does with blocks, by functions that are defined beside it. For one
/// register: `splat`, `table`, `equals`, `at_most`, `minus`, `and`, `or`, `look_up`, `look_up_low`
/// and `high_halves`; for a block: `load`, `previous`, `high_bits`, `nothing_seen`,
/// `see` and `has_seen`.
macro_rules! registers {
    ($proof:ident, [$register:ty; $count:literal], $($feature:tt),+) => {
        /// The registers of a block.
        type Block = [$register; $count];

        impl $crate::vector::bytes::ByteOps for $proof {
            type Block = Block;

            $crate::vector::proof::forward! {
                fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Block;
                fn equal(self, block: Block, byte: u8) -> u64;
                fn between(self, block: Block, first: u8, last: u8) -> u64;
                fn non_ascii(self, block: Block) -> u64;
                fn lower(self, block: Block) -> Block;
            }
        }

        impl $crate::vector::lookup::Lookup for $proof {
            type Seen = $register;

            $crate::vector::proof::forward! {
                fn lookup(self, block: Block, tables: &HalfTables) -> Block;
                fn splat_byte(self, byte: u8) -> Block;
                fn both(self, a: Block, b: Block) -> Block;
                fn previous(self, block: Block, before: Block) -> Block;
                fn nothing_seen(self) -> $register;
                fn see(self, seen: $register, block: Block) -> $register;
                fn has_seen(self, seen: $register) -> bool;
            }
        }

        #[inline]
        #[target_feature($(enable = $feature),+)]
        fn equal(mut block: Block, byte: u8) -> u64 {
            for register in &mut block {
                *register = equals(*register, splat(byte));
            }
            high_bits(block)
        }

        #[inline]
        #[target_feature($(enable = $feature),+)]
        fn between(mut block: Block, first: u8, last: u8) -> u64 {
            for register in &mut block {
                *register = at_most(minus(*register, splat(first)), splat(last - first));
            }
            high_bits(block)
        }

        #[inline]
        #[target_feature($(enable = $feature),+)]
        fn non_ascii(block: Block) -> u64 {
            high_bits(block)
        }

        #[inline]
        #[target_feature($(enable = $feature),+)]
        fn lower(mut block: Block) -> Block {
            for register in &mut block {
                *register = or(*register, splat(0x20));
            }
            block
        }

        #[inline]
        #[target_feature($(enable = $feature),+)]
        fn lookup(mut block: Block, tables: &HalfTables) -> Block {
            let (low, high) = (table(&tables.low), table(&tables.high));
            for register in &mut block {
                *register =
                    and(look_up_low(low, *register), look_up(high, high_halves(*register)));
            }
            block
        }

        #[inline]
        #[target_feature($(enable = $feature),+)]
        fn splat_byte(byte: u8) -> Block {
            [splat(byte); $count]
        }

        #[inline]
        #[target_feature($(enable = $feature),+)]
        fn both(mut a: Block, b: Block) -> Block {
            for (register, other) in a.iter_mut().zip(b) {
                *register = and(*register, other);
            }
            a
        }
    };
}

pub(super) use registers;
