//! Each set of instructions computes what the plainest code does.

use proptest::array::uniform8;
use proptest::prelude::*;

use super::bytes::BLOCK_BYTES;
use super::classes::{Classes, EscapeClasses};
use super::copy::Memcpy;
use super::mask::{LANES, Lanes, Mask};
use super::{Copier, HalfTables, Lookup, Vector, Window, WorkOfWidth};

/// Defines each test once for every set of instructions that there is for this kind of processor.
macro_rules! for_each_vector {
    ($($test:ident),+ $(,)?) => {
        #[cfg(target_arch = "x86_64")]
        for_each_vector! { avx512, super::Avx512: $($test),+ }
        #[cfg(target_arch = "x86_64")]
        for_each_vector! { avx2, super::Avx2: $($test),+ }
        #[cfg(target_arch = "x86_64")]
        for_each_vector! { ssse3, super::Ssse3: $($test),+ }
        #[cfg(target_arch = "aarch64")]
        for_each_vector! { neon, super::Neon: $($test),+ }
        for_each_vector! { arrays, super::Arrays: $($test),+ }
    };
    ($name:ident, super::$vector:ident: $($test:ident),+) => {
        mod $name {
            $(
                #[test]
                fn $test() {
                    match crate::vector::$vector::detect() {
                        Some(vector) => super::$test(vector),
                        None => eprintln!("skipped: this processor has no {}", stringify!($name)),
                    }
                }
            )+
        }
    };
}

for_each_vector! {
    masks_are_combined_bit_by_bit,
    a_shift_moves_bits_from_block_to_block_and_out,
    a_prefix_xor_tells_odd_from_even,
    a_sum_carries_from_block_to_block_and_out,
    single_bits_and_blocks_are_set,
    every_byte_has_its_classes_wherever_a_text_ends,
    halves_are_looked_up_and_moved_by_one,
    a_window_shows_the_bytes_of_the_text_only,
    copies_are_exact_at_any_length,
}

/// How many cases each property is tried with.
const CASES: u32 = if cfg!(miri) { 4 } else { 256 };

fn mask<V: Vector>(vector: V, lanes: [u64; LANES]) -> Mask<V> {
    Mask::new(vector, vector.load_lanes(&Lanes(lanes)))
}

/// The lanes that a group has; the others 0.
fn of_group<V: Vector>(lanes: [u64; LANES]) -> [u64; LANES] {
    std::array::from_fn(|lane| if lane < V::GROUP_BLOCKS { lanes[lane] } else { 0 })
}

/// Blocks of which many are all zeros or all ones, so that carries go far.
fn lanes() -> impl Strategy<Value = [u64; LANES]> {
    uniform8(prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), Just(1), Just(1 << 63)])
}

fn bit(lanes: &[u64; LANES], bit: usize) -> bool {
    lanes[bit / BLOCK_BYTES] >> (bit % BLOCK_BYTES) & 1 == 1
}

/// The mask whose bit `n` is `is_set(n)`.
fn collect<V: Vector>(is_set: impl Fn(usize) -> bool) -> [u64; LANES] {
    let mut lanes = [0; LANES];
    for bit in (0..V::GROUP_BYTES).filter(|&bit| is_set(bit)) {
        lanes[bit / BLOCK_BYTES] |= 1 << (bit % BLOCK_BYTES);
    }
    lanes
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() }
}

fn masks_are_combined_bit_by_bit<V: Vector>(vector: V) {
    proptest!(config(), |(a in lanes(), b in lanes())| {
        let (a, b) = (of_group::<V>(a), of_group::<V>(b));
        let (x, y) = (mask(vector, a), mask(vector, b));
        prop_assert_eq!((x & y).lanes().0, std::array::from_fn(|lane| a[lane] & b[lane]));
        prop_assert_eq!((x | y).lanes().0, std::array::from_fn(|lane| a[lane] | b[lane]));
        prop_assert_eq!((x ^ y).lanes().0, std::array::from_fn(|lane| a[lane] ^ b[lane]));
        prop_assert_eq!((!x).lanes().0, of_group::<V>(a.map(|lane| !lane)));
        prop_assert_eq!(x.is_zero(), a == [0; LANES]);
        let blocks: Vec<_> = x.blocks().collect();
        let expected: Vec<_> = a.into_iter().enumerate().filter(|(_, lane)| *lane != 0).collect();
        prop_assert_eq!(blocks, expected);
    });
}

fn a_shift_moves_bits_from_block_to_block_and_out<V: Vector>(vector: V) {
    fn check<const BITS: u32, V: Vector>(vector: V, a: [u64; LANES], carry: u64) {
        let (bits, carry) = (BITS as usize, carry >> (64 - BITS));
        let mut out = 0;
        let shifted = mask(vector, a).shifted::<BITS>(carry, &mut out);
        let expected = collect::<V>(|at| match at.checked_sub(bits) {
            Some(from) => bit(&a, from),
            None => carry >> at & 1 == 1,
        });
        let expected_out = a[V::GROUP_BLOCKS - 1] >> (64 - BITS);
        assert_eq!((shifted.lanes().0, out), (expected, expected_out), "by {BITS}");
    }
    proptest!(config(), |(a in lanes(), carry in any::<u64>())| {
        check::<1, V>(vector, a, carry);
        check::<2, V>(vector, a, carry);
        check::<6, V>(vector, a, carry);
        check::<63, V>(vector, a, carry);
    });
}

fn a_prefix_xor_tells_odd_from_even<V: Vector>(vector: V) {
    proptest!(config(), |(a in lanes(), carry in any::<bool>())| {
        let (prefix, out) = mask(vector, a).prefix_xor(carry);
        let mut is_odd = carry;
        let mut expected = vec![false; V::GROUP_BYTES];
        for (at, expected) in expected.iter_mut().enumerate() {
            is_odd ^= bit(&a, at);
            *expected = is_odd;
        }
        prop_assert_eq!((prefix.lanes().0, out), (collect::<V>(|at| expected[at]), is_odd));
    });
}

fn a_sum_carries_from_block_to_block_and_out<V: Vector>(vector: V) {
    proptest!(config(), |(a in lanes(), b in lanes(), carry in any::<bool>())| {
        let (sum, out) = mask(vector, a).carrying_add(mask(vector, b), carry);
        let mut carried = u128::from(carry);
        let mut expected = [0; LANES];
        for lane in 0..V::GROUP_BLOCKS {
            let sum = u128::from(a[lane]) + u128::from(b[lane]) + carried;
            carried = sum >> 64;
            expected[lane] = sum as u64;
        }
        prop_assert_eq!((sum.lanes().0, out), (expected, carried == 1));
    });
}

fn single_bits_and_blocks_are_set<V: Vector>(vector: V) {
    let any = mask(vector, [7; LANES]);
    for at in 0..V::GROUP_BYTES {
        assert_eq!(any.one_bit(at).lanes().0, collect::<V>(|bit| bit == at));
    }
    for lane in 0..V::GROUP_BLOCKS {
        let expected = std::array::from_fn(|at| match at.cmp(&lane) {
            std::cmp::Ordering::Less => 7,
            std::cmp::Ordering::Equal => 5,
            std::cmp::Ordering::Greater => 9,
        });
        assert_eq!(any.with_lanes_from(lane, 5, 9).lanes().0, of_group::<V>(expected));
    }
    assert_eq!(any.splat(3).lanes().0, of_group::<V>([3; LANES]));
    assert_eq!(any.low(3).lanes().0, [3, 0, 0, 0, 0, 0, 0, 0]);
}

#[track_caller]
fn check_class<V: Vector>(mask: Mask<V>, text: &[u8], is_in: impl Fn(u8) -> bool) {
    let expected = collect::<V>(|at| text.get(at).is_some_and(|&byte| is_in(byte)));
    assert_eq!(mask.lanes().0, expected, "of {} bytes", text.len());
}

fn every_byte_has_its_classes_wherever_a_text_ends<V: Vector>(vector: V) {
    // Every byte, and each in another place of a block the second and third time.
    let bytes: Vec<u8> = (0..=u8::MAX).chain(3..=u8::MAX).chain(0..=u8::MAX).collect();
    let lengths = [1, 2, 63, 64, 65, 127, 128, 300, 447, 448, 449, 511, 512, 513, bytes.len()];
    for (start, length) in lengths.into_iter().map(|length| (bytes.len() - length, length)) {
        let text = &bytes[start..];
        assert_eq!(text.len(), length);
        let (classes, is_ascii) = vector.classes::<true>(text);
        assert_eq!(is_ascii, text.iter().take(V::GROUP_BYTES).all(u8::is_ascii));
        check_classes(&classes, text);
        check_escape_classes(&vector.escape_classes::<true>(text), text);
    }
}

fn check_classes<V: Vector>(classes: &Classes<V>, text: &[u8]) {
    check_class(classes.valid, text, |_| true);
    check_class(classes.quotes, text, |byte| byte == b'"');
    check_class(classes.backslashes, text, |byte| byte == b'\\');
    check_class(classes.controls, text, |byte| byte < 0x20);
    check_class(classes.control_whitespace, text, |byte| b"\t\n\r".contains(&byte));
    check_class(classes.spaces, text, |byte| byte == b' ');
    check_class(classes.opens, text, |byte| b"{[".contains(&byte));
    check_class(classes.closes, text, |byte| b"}]".contains(&byte));
    check_class(classes.braces, text, |byte| b"{}".contains(&byte));
    check_class(classes.colons, text, |byte| byte == b':');
    check_class(classes.commas, text, |byte| byte == b',');
    check_class(classes.digits, text, |byte| byte.is_ascii_digit());
    check_class(classes.zeros, text, |byte| byte == b'0');
}

fn check_escape_classes<V: Vector>(classes: &EscapeClasses<V>, text: &[u8]) {
    check_class(classes.simple, text, |byte| b"\"\\/bfnrt".contains(&byte));
    check_class(classes.unicode, text, |byte| byte == b'u');
    check_class(classes.hex, text, |byte| byte.is_ascii_hexdigit());
    check_class(classes.d, text, |byte| b"dD".contains(&byte));
    check_class(classes.eight_to_b, text, |byte| b"89abAB".contains(&byte));
    check_class(classes.c_to_f, text, |byte| b"cdefCDEF".contains(&byte));
}

/// Every byte, in every place of a block.
fn halves_are_looked_up_and_moved_by_one<V: Vector>(vector: V) {
    vector.choose(LookUp);
}

struct LookUp;

impl WorkOfWidth for LookUp {
    type Output = ();

    fn narrow<V: Vector + Lookup>(self, vector: V) {
        let sets =
            std::array::from_fn(|bit| (0x55_AA_u16.rotate_left(bit as u32) & 0xFF, 0x93 << bit));
        let tables = HalfTables::new(sets);
        let bytes: Vec<u8> = (0..=u8::MAX).chain(3..=u8::MAX).collect();
        let mut before = vector.lookup(vector.splat_byte(b'{'), &tables);
        let mut last = b'{';
        for text in bytes.as_chunks::<BLOCK_BYTES>().0 {
            let block = vector.load(text);
            let found = vector.lookup(block, &tables);
            let moved = vector.previous(found, before);
            let both = vector.both(found, moved);
            for value in 0..=u8::MAX {
                let expect = |is_in: &dyn Fn(usize) -> bool| {
                    (0..BLOCK_BYTES).map(|at| u64::from(is_in(at)) << at).sum::<u64>()
                };
                let at = |at: usize| tables.of(text[at]);
                let one_before = |at: usize| tables.of(if at == 0 { last } else { text[at - 1] });
                assert_eq!(vector.equal(found, value), expect(&|byte| at(byte) == value));
                assert_eq!(vector.equal(moved, value), expect(&|byte| one_before(byte) == value));
                let is_both = |byte| at(byte) & one_before(byte) == value;
                assert_eq!(vector.equal(both, value), expect(&is_both));
            }
            (before, last) = (found, text[BLOCK_BYTES - 1]);
        }
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK_BYTES {
                let mut text = [b'x'; BLOCK_BYTES];
                text[at] = byte;
                let seen = vector.see(vector.nothing_seen(), vector.load(&text));
                let seen = vector.see(seen, vector.load(&[b'x'; BLOCK_BYTES]));
                assert_eq!(vector.has_seen(seen), matches!(byte, 0..0x20 | 0x80..));
            }
        }
    }

    /// It looks nothing up by halves.
    fn wide<V: Vector>(self, _: V) {}
}

fn a_window_shows_the_bytes_of_the_text_only<V: Vector>(vector: V) {
    let text = [b'"'; 200];
    for start in (0..text.len()).step_by(if cfg!(miri) { 33 } else { 1 }) {
        let window = Window::at(vector, &text, start);
        let bytes = (text.len() - start).min(BLOCK_BYTES);
        let valid = if bytes == BLOCK_BYTES { u64::MAX } else { (1 << bytes) - 1 };
        assert_eq!(window.quotes() & valid, valid, "from {start} on");
        assert_eq!(window.first_quote(), Some(0));
    }
    let text = [&[b'x'; 70][..], b"\\\"\""].concat();
    assert_eq!(Window::at(vector, &text, 60).first_quote(), None);
    assert_eq!(Window::at(vector, &text, 71).first_quote(), Some(0));
}

fn copies_are_exact_at_any_length<V: Vector>(vector: V) {
    fn check(copier: impl Copier, bytes: usize) {
        let from: Vec<u8> = (0..bytes).map(|at| at as u8 | 1).collect();
        let mut to = vec![0; bytes + 2];
        copier.copy(&from, &mut to[1..=bytes]);
        assert_eq!((to[0], &to[1..=bytes], to[bytes + 1]), (0, &from[..], 0), "{bytes} bytes");
    }
    for bytes in (0..700).step_by(if cfg!(miri) { 37 } else { 1 }) {
        check(vector, bytes);
        check(Memcpy, bytes);
    }
}
