//! What tells two files of one name apart.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The BLAKE3 hash of the first line of a file, with its line feed.
///
/// A name begins anew with other bytes after `copytruncate` or `create` of logrotate, or in a
/// directory that was emptied. As text, it is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Birth([u8; 32]);

/// A text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BirthError;

impl Birth {
    /// The birth with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Birth({self})")
    }
}

impl FromStr for Birth {
    type Err = BirthError;

    fn from_str(text: &str) -> Result<Self, BirthError> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(BirthError);
        }
        for (byte, [upper, lower]) in bytes.iter_mut().zip(pairs) {
            let upper = digit(*upper).ok_or(BirthError)?;
            *byte = upper << 4 | digit(*lower).ok_or(BirthError)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for BirthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a birth is 64 hexadecimal digits in lower case")
    }
}

impl Error for BirthError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_birth_is_read_back_and_nothing_else_is_one() {
        let birth = Birth::from_bytes(std::array::from_fn(|index| index as u8 * 7));
        let text = birth.to_string();
        assert_eq!(text.parse(), Ok(birth));
        for wrong in
            [&text[1..], &text.to_uppercase(), "", &format!("{text}00"), &format!("{text}0")]
        {
            assert_eq!(wrong.parse::<Birth>(), Err(BirthError), "{wrong}");
        }
    }
}
