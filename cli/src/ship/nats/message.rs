//! A block as messages.
//!
//! The body of a message is the object of the block, as in a bucket: a frame of zstd with the header,
//! and one with the lines. Where the server does not take it as one message, its pieces are messages
//! that follow each other directly in the subject. A block whose last piece is missing does not count.
//!
//! ```text
//! Cdrlog-Header    the header of the block, one JSON object; also in front of the body
//! Cdrlog-Part      2/3: the second of three pieces; not there if there is one
//! Cdrlog-Previous  the number, in the stream, of the last message of the block before; 0 if none
//! ```

use async_nats::HeaderMap;
use bytes::Bytes;

use super::api::Stored;
use crate::ship::header::Header;

const HEADER: &str = "Cdrlog-Header";
const PART: &str = "Cdrlog-Part";
const PREVIOUS: &str = "Cdrlog-Previous";
const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";

/// What the headers of a message take besides that of the block, in bytes, rounded up.
const OTHER_HEADERS_BYTES: usize = 1024;

/// The smallest message that a server must take: then every header fits, and something of the body.
pub(super) const MESSAGE_BYTES_MIN: usize = 128 << 10;

/// The pieces of an object for messages of at most `message_bytes`, headers included.
pub(super) fn pieces(object: Vec<u8>, header: &Header, message_bytes: usize) -> Vec<Bytes> {
    let room = message_bytes.saturating_sub(header.text.len() + OTHER_HEADERS_BYTES).max(1);
    let mut rest = Bytes::from(object);
    let mut pieces = Vec::new();
    while rest.len() > room {
        pieces.push(rest.split_to(room));
    }
    pieces.push(rest);
    pieces
}

/// The headers of one message: it is stored only if `expected_last` is the last of its subject.
pub(super) fn headers(
    header: &Header,
    (index, count): (usize, usize),
    previous: u64,
    stream: &str,
    expected_last: u64,
) -> HeaderMap {
    let mut headers = expectation(stream, expected_last);
    headers.insert(HEADER, header.text.as_str());
    headers.insert(PREVIOUS, previous.to_string());
    if count > 1 {
        headers.insert(PART, format!("{index}/{count}"));
    }
    headers
}

/// The compare-and-swap.
pub(super) fn expectation(stream: &str, expected_last: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EXPECTED_STREAM, stream);
    headers.insert(EXPECTED_LAST, expected_last.to_string());
    headers
}

/// What the headers of a stored message say.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) header: Header,
    /// It is the last one of its block.
    pub(super) is_last: bool,
    /// The last message of the block before.
    pub(super) previous: u64,
}

impl Piece {
    pub(super) fn of(stored: &Stored) -> Result<Self, String> {
        let not_one = || {
            let Stored { seq, subject, .. } = stored;
            format!(
                "message {seq} of {subject} is none of cdrlog: let nobody else publish there, and \
                 give this node another name with --node"
            )
        };
        let text = std::str::from_utf8(&stored.headers).map_err(|_| not_one())?;
        let value = |name: &str| {
            let lines = text.split("\r\n").filter_map(|line| line.split_once(':'));
            let mut values = lines.filter(|(key, _)| *key == name).map(|(_, value)| value);
            values.next().map(|value| value.strip_prefix(' ').unwrap_or(value))
        };
        let header = Header::parse(value(HEADER).ok_or_else(not_one)?)?;
        let previous = value(PREVIOUS).and_then(|it| it.parse().ok()).ok_or_else(not_one)?;
        let is_last = match value(PART) {
            Some(part) => part.split_once('/').is_some_and(|(index, count)| index == count),
            None => true,
        };
        Ok(Self { header, is_last, previous })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::header::tests::fields;

    fn stored(headers: &HeaderMap) -> Stored {
        let mut text = "NATS/1.0\r\n".to_owned();
        for (name, values) in headers.iter() {
            text += &format!("{name}: {}\r\n", values[0].as_str());
        }
        Stored { seq: 9, subject: "cdr.lines.n".to_owned(), headers: (text + "\r\n").into() }
    }

    #[test]
    fn a_message_says_which_block_it_is_of_and_what_came_before() {
        let header = Header::new(crate::ship::header::Fields {
            file: "CDR ü: \"x\".log".to_owned(),
            ..fields()
        });
        let piece = Piece::of(&stored(&headers(&header, (1, 1), 7, "CDR", 8))).unwrap();
        assert_eq!((piece.header.id, piece.is_last, piece.previous), (header.id, true, 7));
        let piece = Piece::of(&stored(&headers(&header, (2, 3), 0, "CDR", 8))).unwrap();
        assert!(!piece.is_last && piece.header.text == header.text);
        assert!(Piece::of(&stored(&headers(&header, (3, 3), 0, "CDR", 8))).unwrap().is_last);
        let fault = Piece::of(&stored(&expectation("CDR", 1))).unwrap_err();
        assert!(fault.contains("message 9 of cdr.lines.n is none of cdrlog"), "{fault}");
    }

    #[test]
    fn an_object_that_is_too_large_goes_in_pieces_that_make_it_up() {
        let header = Header::new(fields());
        let room = 1000;
        let limit = header.text.len() + OTHER_HEADERS_BYTES + room;
        for bytes in [1, 999, 1000, 1001, 3500] {
            let object: Vec<u8> = (0..bytes).map(|byte| byte as u8).collect();
            let pieces = pieces(object.clone(), &header, limit);
            assert_eq!(pieces.len(), bytes.div_ceil(room));
            assert_eq!(pieces.concat(), object);
            for (index, piece) in pieces.iter().enumerate() {
                let headers = headers(&header, (index + 1, pieces.len()), u64::MAX, "S", u64::MAX);
                let taken = stored(&headers).headers.len() + piece.len();
                assert!(taken <= limit, "{taken} of {limit} bytes");
            }
        }
    }
}
