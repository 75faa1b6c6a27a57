//! Numbers in a page of a journal file, little-endian.

#![expect(clippy::indexing_slicing, reason = "offsets are constants inside a page of fixed size")]

/// The eight bytes at `offset` as a number.
pub(super) fn u64_at(page: &[u8], offset: usize) -> u64 {
    number_at(page, offset, 8)
}

/// The four bytes at `offset` as a number.
pub(super) fn u32_at(page: &[u8], offset: usize) -> u32 {
    number_at(page, offset, 4) as u32
}

fn number_at(page: &[u8], offset: usize, bytes: usize) -> u64 {
    page[offset..offset + bytes].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_little_endian() {
        let page = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(u64_at(&page, 1), u64::from_le_bytes([2, 3, 4, 5, 6, 7, 8, 9]));
        assert_eq!(u32_at(&page, 0), u32::from_le_bytes([1, 2, 3, 4]));
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_number_outside_of_the_page_is_no_number() {
        u32_at(&[0; 8], 5);
    }
}
