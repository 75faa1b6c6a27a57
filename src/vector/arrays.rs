//! Blocks and masks of 512 bits as plain arrays, for tests: so every machine tests what is written for
//! masks that are wider than a block, AVX-512 or not.

use super::bytes::{BLOCK_BYTES, ByteOps};
use super::classes::Classify;
use super::copy::Copier;
use super::mask::{LANES, Lanes, MaskOps};
use super::task::{Task, Vector, Width, WorkOfWidth};

/// No vectors, which every processor has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrays;

impl Arrays {
    /// As that of the sets of instructions.
    pub(crate) const fn detect() -> Option<Self> {
        Some(Self)
    }
}

impl Vector for Arrays {
    fn run<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }
}

impl Width for Arrays {
    fn choose<W: WorkOfWidth>(self, work: W) -> W::Output {
        work.wide(self)
    }
}

impl Classify for Arrays {}

impl Copier for Arrays {}

fn mask_of(block: [u8; BLOCK_BYTES], is_in: impl Fn(u8) -> bool) -> u64 {
    block.iter().rev().fold(0, |mask, &byte| mask << 1 | u64::from(is_in(byte)))
}

impl ByteOps for Arrays {
    type Block = [u8; BLOCK_BYTES];

    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
        *bytes
    }

    fn equal(self, block: [u8; BLOCK_BYTES], byte: u8) -> u64 {
        mask_of(block, |other| other == byte)
    }

    fn between(self, block: [u8; BLOCK_BYTES], first: u8, last: u8) -> u64 {
        mask_of(block, |byte| (first..=last).contains(&byte))
    }

    fn non_ascii(self, block: [u8; BLOCK_BYTES]) -> u64 {
        mask_of(block, |byte| !byte.is_ascii())
    }

    fn lower(self, block: [u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
        block.map(|byte| byte | 0x20)
    }
}

fn combined(
    mut a: [u64; LANES],
    b: [u64; LANES],
    combine: impl Fn(u64, u64) -> u64,
) -> [u64; LANES] {
    for (lane, other) in a.iter_mut().zip(b) {
        *lane = combine(*lane, other);
    }
    a
}

impl MaskOps for Arrays {
    type Mask = [u64; LANES];

    const GROUP_BLOCKS: usize = LANES;

    /// As with AVX-512: then the same branches are taken.
    const HAS_WIDE_PREFIX_XOR: bool = true;

    fn load_lanes(self, lanes: &Lanes) -> [u64; LANES] {
        lanes.0
    }

    fn store_lanes(self, mask: [u64; LANES]) -> Lanes {
        Lanes(mask)
    }

    fn splat(self, lane: u64) -> [u64; LANES] {
        [lane; LANES]
    }

    fn and(self, a: [u64; LANES], b: [u64; LANES]) -> [u64; LANES] {
        combined(a, b, |a, b| a & b)
    }

    fn or(self, a: [u64; LANES], b: [u64; LANES]) -> [u64; LANES] {
        combined(a, b, |a, b| a | b)
    }

    fn xor(self, a: [u64; LANES], b: [u64; LANES]) -> [u64; LANES] {
        combined(a, b, |a, b| a ^ b)
    }

    fn not(self, mask: [u64; LANES]) -> [u64; LANES] {
        mask.map(|lane| !lane)
    }

    fn nonzero_lanes(self, mask: [u64; LANES]) -> u32 {
        mask.iter().rev().fold(0, |lanes, &lane| lanes << 1 | u32::from(lane != 0))
    }

    fn shifted<const BITS: u32>(self, mask: [u64; LANES], mut carry: u64) -> [u64; LANES] {
        mask.map(|lane| {
            let shifted = lane << BITS | carry;
            carry = lane >> (u64::BITS - BITS);
            shifted
        })
    }

    fn highest_lane(self, [.., highest]: [u64; LANES]) -> u64 {
        highest
    }
}
