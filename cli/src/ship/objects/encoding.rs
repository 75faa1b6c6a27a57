//! A block as one object: the header in a skippable frame of zstd, and the lines in another frame.
//!
//! ```text
//! offset  bytes
//!      0      4  0x184D2A5C, little-endian: a skippable frame, which every zstd decoder passes over
//!      4      4  length of the header, little-endian
//!      8         the header, a JSON object
//!                the lines, as one zstd frame with a checksum
//! ```
//!
//! So `zstd -dc` prints the lines, and the header is found without reading the rest, also in a copy
//! of the object that lost its metadata.

use std::io::{Read, Write};

use crate::ship::header::{Block, Header};

const MAGIC: u32 = 0x184D_2A5C;

/// The length of magic and length.
const FRAME_BYTES: usize = 8;

/// The longest header, in bytes: names and reasons are short.
pub(super) const HEADER_BYTES_MAX: usize = 64 << 10;

const LEVEL: i32 = 3;

/// The most lines of a block that are read, in bytes: more than the longest event.
const BODY_BYTES_MAX: u64 = 1 << 30;

/// The object of a block.
pub(in crate::ship) fn encode(block: &Block) -> std::io::Result<Vec<u8>> {
    let header = block.header.text.as_bytes();
    assert!(header.len() <= HEADER_BYTES_MAX, "a header has names and hashes only");
    let mut object = Vec::with_capacity(FRAME_BYTES + header.len() + block.body.len() / 8);
    object.extend_from_slice(&MAGIC.to_le_bytes());
    object.extend_from_slice(&(header.len() as u32).to_le_bytes());
    object.extend_from_slice(header);
    let mut encoder = zstd::Encoder::new(object, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(block.body.len() as u64))?;
    encoder.write_all(&block.body)?;
    encoder.finish()
}

/// The block of an object.
pub(in crate::ship) fn decode(object: &[u8]) -> Result<Block, String> {
    let (header, lines) = split(object)?;
    let unreadable = |error: std::io::Error| format!("its lines cannot be decompressed: {error}");
    let mut body = Vec::new();
    let mut decoder = zstd::Decoder::new(lines).map_err(unreadable)?.take(BODY_BYTES_MAX);
    decoder.read_to_end(&mut body).map_err(unreadable)?;
    Ok(Block { header, body })
}

/// The header of an object that begins with these bytes.
pub(super) fn header_of(object: &[u8]) -> Result<Header, String> {
    split(object).map(|(header, _)| header)
}

/// The header of an object, and what follows it.
fn split(object: &[u8]) -> Result<(Header, &[u8]), String> {
    let not_one = || "it does not begin with the header of a block".to_owned();
    let (magic, rest) = object.split_first_chunk::<4>().ok_or_else(not_one)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(not_one)?;
    if u32::from_le_bytes(*magic) != MAGIC {
        return Err(not_one());
    }
    let length = u32::from_le_bytes(*length) as usize;
    let (text, lines) = rest.split_at_checked(length).ok_or_else(not_one)?;
    let header = Header::parse(std::str::from_utf8(text).map_err(|_| not_one())?)?;
    Ok((header, lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::header::tests::fields;

    #[test]
    fn an_object_has_its_header_and_its_lines() {
        let block = Block { header: Header::new(fields()), body: b"{}\n".repeat(1000) };
        let object = encode(&block).unwrap();
        assert_eq!(header_of(&object).unwrap().id, block.header.id);
        assert_eq!(decode(&object).unwrap().body, block.body);
        // Any decoder passes over the header.
        assert_eq!(zstd::decode_all(object.as_slice()).unwrap(), block.body);
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let object = encode(&Block { header: Header::new(fields()), body: Vec::new() }).unwrap();
        for wrong in [&object[..7], &object[..100], b"", b"{}\n{}\n{}\n", &object[1..]] {
            assert!(header_of(wrong).unwrap_err().contains("does not begin with the header"));
        }
    }
}
