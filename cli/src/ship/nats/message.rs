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
use cdrlog::manifest::Hash;

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
    /// It is the piece of this number, from 1, of so many.
    pub(super) index: usize,
    pub(super) count: usize,
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
        let part = value(PART).unwrap_or("1/1").split_once('/');
        let part = part.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let part = part.filter(|(index, count)| (1..=*count).contains(index));
        let (index, count) = part.ok_or_else(not_one)?;
        Ok(Self { header, index, count, previous })
    }

    /// The block is whole with it, if the pieces before it are there: each was stored only after the
    /// one before.
    pub(super) const fn is_last(&self) -> bool {
        self.index == self.count
    }
}

/// Finds the blocks in a row of messages of which all pieces are there.
#[derive(Default)]
pub(super) struct Assembly {
    /// The block under way, and how many of its pieces there were.
    begun: Option<(Hash, usize)>,
}

impl Assembly {
    /// The header of a block that is whole with this piece.
    pub(super) fn add(&mut self, piece: Piece) -> Option<Header> {
        let Piece { header, index, count, .. } = piece;
        let follows = self.begun == Some((header.id, index - 1));
        self.begun = (index == 1 || follows).then_some((header.id, index));
        (self.begun.is_some() && index == count).then_some(header)
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
        Stored::of_headers(9, "cdr.lines.n".to_owned(), (text + "\r\n").into())
    }

    #[test]
    fn a_message_says_which_block_it_is_of_and_what_came_before() {
        let header = Header::new(crate::ship::header::Fields {
            file: "CDR ü: \"x\".log".to_owned(),
            ..fields()
        });
        let piece = Piece::of(&stored(&headers(&header, (1, 1), 7, "CDR", 8))).unwrap();
        assert_eq!((piece.header.id, piece.is_last(), piece.previous), (header.id, true, 7));
        let piece = Piece::of(&stored(&headers(&header, (2, 3), 0, "CDR", 8))).unwrap();
        assert!(!piece.is_last() && piece.header.text == header.text);
        assert!(Piece::of(&stored(&headers(&header, (3, 3), 0, "CDR", 8))).unwrap().is_last());
        let fault = Piece::of(&stored(&expectation("CDR", 1))).unwrap_err();
        assert!(fault.contains("message 9 of cdr.lines.n is none of cdrlog"), "{fault}");
    }

    #[test]
    fn a_block_counts_only_if_all_its_pieces_follow_each_other() {
        let [one, two] =
            [1, 2].map(|seq| Header::new(crate::ship::header::Fields { seq, ..fields() }));
        let whole = |pieces: &[(&Header, usize, usize)]| {
            let mut assembly = Assembly::default();
            let found = pieces.iter().filter_map(|&(header, index, count)| {
                assembly.add(Piece { header: header.clone(), index, count, previous: 0 })
            });
            found.map(|header| header.fields.seq).collect::<Vec<_>>()
        };
        assert_eq!(whole(&[(&one, 1, 1), (&two, 1, 2), (&two, 2, 2)]), [1, 2]);
        // Given up after its first piece, and sent again.
        assert_eq!(whole(&[(&one, 1, 3), (&one, 1, 3), (&one, 2, 3), (&one, 3, 3)]), [1]);
        assert_eq!(whole(&[(&one, 1, 3), (&one, 3, 3)]), [] as [u64; 0]);
        assert_eq!(whole(&[(&one, 1, 2), (&two, 2, 2)]), [] as [u64; 0]);
        assert_eq!(whole(&[(&one, 2, 2), (&two, 1, 1)]), [2]);
    }

    #[test]
    fn an_object_that_is_too_large_goes_in_pieces_that_make_it_up() {
        let header = Header::new(fields());
        let room = 1000;
        let limit = header.text.len() + OTHER_HEADERS_BYTES + room;
        for bytes in [1_usize, 999, 1000, 1001, 3500] {
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
