//! Numbers that are the same for the same seed, on every machine and in every version.

/// xorshift64*.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Not zero, and near seeds are far apart.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33
    }

    /// A number below `end`; 0 if that is not positive.
    pub(super) fn below(&mut self, end: i64) -> i64 {
        if end <= 0 { 0 } else { (self.next() % end.unsigned_abs()) as i64 }
    }

    pub(super) fn between(&mut self, first: i64, end: i64) -> i64 {
        first + self.below(end - first)
    }

    pub(super) fn is(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let index = self.below(of.len() as i64) as usize;
        of.get(index).copied().unwrap_or_default()
    }

    /// Letters and digits, as servers make their ids.
    pub(super) fn id(&mut self, prefix: &str, chars: usize) -> String {
        const CHARS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
        let mut id = prefix.to_owned();
        for _ in 0..chars {
            let index = self.below(CHARS.len() as i64) as usize;
            id.push(CHARS.get(index).copied().map_or('x', char::from));
        }
        id
    }
}
