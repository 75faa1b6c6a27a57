//! Tells whole lines from torn ones by the rewriter itself: a line is whole if it is what the
//! rewriter makes of the body that it must have come from.

use super::line_check::LineCheck;

/// Whether `line`, including its line feed, is one whole line of a CDR.
pub(crate) fn is_whole_line(line: &[u8]) -> bool {
    LineCheck::new().is_made_by_us(line)
}

/// Whether `line`, including its line feed, is one whole record of a rejects file.
pub(crate) fn is_whole_record(line: &[u8]) -> bool {
    LineCheck::new().is_record_of_ours(line)
}

#[cfg(test)]
mod tests {
    use super::super::{Reason, Rejection, Rewriter, record::RejectRecord};
    use super::*;

    #[test]
    fn lines_of_the_rewriter_are_whole_and_every_piece_of_one_is_not() {
        let mut deep = b"{\"a\":".to_vec();
        deep.extend(b"[".repeat(127).into_iter().chain(b"]".repeat(127)));
        deep.extend(b",\"event\":\"deep\"}");
        let bodies: [&[u8]; 5] = [
            br#"{"event":"event","a":{"event":1}}"#,
            br#"{"event":"only"}"#,
            br#"{ "a" : 1 , "event":"x\"y" , "b":"\u00e9" }"#,
            "{\"\u{e9}\":\"\u{e9}\",\"event\":\"\u{e9}\"}".as_bytes(),
            &deep,
        ];
        for body in bodies {
            let mut line = Vec::new();
            Rewriter::new().rewrite(body, &mut line).unwrap();
            assert!(is_whole_line(&line), "{}", String::from_utf8_lossy(&line));
            for cut in (0..line.len()).step_by(if cfg!(miri) { 9 } else { 1 }) {
                assert!(!is_whole_line(&line[..cut]));
                assert!(!is_whole_line(&[&line[..cut], b"\n"].concat()) || cut == line.len() - 1);
                assert!(!is_whole_line(&[&line[..cut], b"\0", &line[cut + 1..]].concat()));
            }
            assert!(!is_whole_line(&[&line[..line.len() - 1], b"}\n"].concat()));
        }
    }

    #[test]
    fn records_of_rejects_are_whole_and_every_piece_of_one_is_not() {
        let rejection = Rejection::new(Reason::Empty, 0);
        let record: Vec<u8> =
            RejectRecord::new(b"{\"event\":}\n\0", rejection, 7).flatten().collect();
        assert!(is_whole_record(&record));
        for cut in (0..record.len() - 1).step_by(if cfg!(miri) { 9 } else { 1 }) {
            assert!(!is_whole_record(&[&record[..cut], b"\n"].concat()));
            assert!(!is_whole_record(&[&record[..cut], b"\0", &record[cut + 1..]].concat()));
        }
    }
}
