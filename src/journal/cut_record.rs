//! The end of a record that was cut.
//!
//! A record larger than a segment is committed in parts, cut wherever a segment ends: even inside
//! an escape, a character or its head. If the process was killed between two segments, the rest of
//! the body was only in memory, and the record is closed so that the file holds whole lines. Parts
//! of it may be in the file already, so nothing can be taken back.

use crate::rewrite::is_whole_record;

/// How every record starts.
pub(super) const BEGIN: &[u8] = b"{\"reason\":";

/// Whether `bytes` can be the start of a record. Bytes after its first segment cannot.
pub(super) fn is_beginning(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGIN) || BEGIN.starts_with(bytes)
}

/// What completes an escape or a character that was cut; usually nothing.
const REST_OF_CHARACTER: [&[u8]; 11] = [
    b"",
    b"\\",
    b"0",
    b"00",
    b"000",
    b"0000",
    b"\x80",
    b"\x80\x80",
    b"\x80\x80\x80",
    b"\xa0\x80",
    b"\x90\x80\x80",
];

/// What follows a string, a key, a colon, a value or a comma of the head.
const ENDS: [&[u8]; 6] = [
    b",\"cut\":true}\n",
    b"\"cut\":true}\n",
    b"\":\"\",\"cut\":true}\n",
    b":\"\",\"cut\":true}\n",
    b"\"\",\"cut\":true}\n",
    b"\n",
];

/// What closes `record`, which was cut somewhere; `None` if it is not the start of a record.
pub(super) fn end_of(record: &[u8]) -> Option<Vec<u8>> {
    let in_string = REST_OF_CHARACTER.iter().map(|rest| [rest, "\",\"cut\":true}\n".as_bytes()]);
    let elsewhere = ENDS.iter().map(|end| [b"".as_slice(), end]);
    let in_begin = BEGIN.strip_prefix(record).map(|rest| [rest, b"\"\",\"cut\":true}\n"]);
    let mut ends = in_string.chain(elsewhere).chain(in_begin).map(|parts| parts.concat());
    ends.find(|end| is_whole_record(&[record, end].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_cut_anywhere_is_closed() {
        let records = [
            "{\"reason\":\"event_missing\",\"offset\":14,\"at\":1763903248000,\
             \"body\":\"{\\\"a\\\":\\\"\\\\u00e9 \\u0001\\n\u{e9}\u{800}\u{20ac}\u{d000}\u{10000}\u{1f600}\u{10ffff}\\\"}\"}\n",
            "{\"reason\":\"not_utf8\",\"offset\":0,\"at\":1,\"body_base64\":\"/wD/\"}\n",
        ];
        for record in records.map(str::as_bytes) {
            for cut in 1..record.len() {
                let record = &record[..cut];
                let text = String::from_utf8_lossy(record);
                let closed = [record, &end_of(record).unwrap_or_else(|| panic!("{text}"))].concat();
                let value: serde_json::Value = serde_json::from_slice(&closed).unwrap();
                assert!(value["reason"].is_string() && closed.ends_with(b"\n"), "{text}");
                assert!(value["cut"] == true || record.ends_with(b"}"), "{text}");
            }
        }
    }

    #[test]
    fn the_middle_of_a_record_is_not_closed() {
        for piece in ["ent_missing\",\"offset\":14", "\\\"a\\\":1", "{\"a\":1}", "{\"reasons\""] {
            assert_eq!(end_of(piece.as_bytes()), None, "{piece}");
        }
    }
}
