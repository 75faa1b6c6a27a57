//! Numbers in a page of a journal file, little-endian.

/// The eight bytes at `offset` as a number; bytes outside of `page` count as zeros.
pub(super) fn u64_at(page: &[u8], offset: usize) -> u64 {
    number_at(page, offset, 8)
}

/// The four bytes at `offset` as a number; bytes outside of `page` count as zeros.
pub(super) fn u32_at(page: &[u8], offset: usize) -> u32 {
    number_at(page, offset, 4) as u32
}

fn number_at(page: &[u8], offset: usize, bytes: usize) -> u64 {
    let bytes = page.get(offset..offset + bytes).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_little_endian() {
        let page = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(u64_at(&page, 1), u64::from_le_bytes([2, 3, 4, 5, 6, 7, 8, 9]));
        assert_eq!(u32_at(&page, 0), u32::from_le_bytes([1, 2, 3, 4]));
        assert_eq!(u32_at(&page, 7), 0);
    }
}
