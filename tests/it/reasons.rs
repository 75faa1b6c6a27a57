//! Why a body is rejected, and at which byte. The first fault is the one that counts.

use cdrlog::{Reason, Rewriter};

#[track_caller]
fn assert_rejected(body: impl AsRef<[u8]>, reason: Reason, offset: usize) {
    let body = body.as_ref();
    let mut line = b"before".to_vec();
    let rejection = Rewriter::new().rewrite(body, &mut line).expect_err("rejected");
    assert_eq!(
        (rejection.reason, rejection.offset),
        (reason, offset),
        "{}",
        String::from_utf8_lossy(body)
    );
    assert_eq!(line, b"before", "nothing is appended");
}

#[test]
fn a_body_of_blanks_is_empty() {
    assert_rejected("", Reason::Empty, 0);
    assert_rejected(" \t\r\n", Reason::Empty, 4);
}

#[test]
fn a_body_above_the_limit_is_too_large_whatever_it_holds() {
    let body = br#"{"event":"x"}"#;
    for (event_bytes_max, is_accepted) in [(13, true), (12, false), (0, false)] {
        let result = Rewriter::with_event_bytes_max(event_bytes_max).rewrite(body, &mut Vec::new());
        assert_eq!(result.is_ok(), is_accepted);
        if let Err(rejection) = result {
            assert_eq!((rejection.reason, rejection.offset), (Reason::TooLarge, event_bytes_max));
        }
    }
    assert_rejected(vec![0xFF; (1 << 20) + 1], Reason::TooLarge, 1 << 20);
}

#[test]
fn the_largest_body_by_default_is_one_mebibyte() {
    let mut body = br#"{"event":"x","v":""#.to_vec();
    body.resize((1 << 20) - 2, b'v');
    body.extend_from_slice(b"\"}");
    assert!(Rewriter::new().rewrite(&body, &mut Vec::new()).is_ok());
    body.push(b' ');
    assert_rejected(&body, Reason::TooLarge, 1 << 20);
}

#[test]
fn a_root_that_is_no_object_is_said_so() {
    for root in ["[]", "\"event\"", "1", "-1", "true", "false", "null", " [", "\tnul"] {
        assert_rejected(root, Reason::NotAnObject, root.len() - root.trim_start().len());
    }
    for root in ["}", "]", ":", ",", "x", "\u{feff}{\"event\":\"x\"}"] {
        assert_rejected(root, Reason::UnexpectedByte, 0);
    }
}

#[test]
fn the_grammar_is_held_to_the_byte() {
    for (body, offset) in [
        (r#"{,"event":"x"}"#, 1),
        (r#"{"event" "x"}"#, 9),
        (r#"{"event":"x",}"#, 13),
        (r#"{"event":"x",,"a":1}"#, 13),
        (r#"{"event":"x" "a":1}"#, 13),
        (r#"{"event":"x","a"}"#, 16),
        (r#"{"event":"x","a":}"#, 17),
        (r#"{"event":"x","a":1]"#, 18),
        (r#"{"event":"x","a":[1}"#, 19),
        (r#"{"event":"x","a":[1,]}"#, 20),
        (r#"{"event":"x","a":[,]}"#, 18),
        (r#"{"event":"x","a":[1:2]}"#, 19),
        (r#"{"event":"x","a":["b":2]}"#, 21),
        (r#"{"event":"x","a":"b":2}"#, 20),
        (r#"{"event":"x",1:2}"#, 13),
        (r#"{event:"x"}"#, 1),
        (r#"{'event':"x"}"#, 1),
        (r#"{"event":'x'}"#, 9),
        (r#"{"event":"x","a":1x}"#, 18),
        (r#"{"event":"x","a":truex}"#, 21),
        ("{\"event\":\"x\"\x0B}", 12),
        ("{\"event\":\"x\",\u{a0}\"a\":1}", 13),
        ("{\"event\":\"x\",\0}", 13),
    ] {
        assert_rejected(body, Reason::UnexpectedByte, offset);
    }
}

#[test]
fn a_text_that_ends_too_early_is_rejected_at_its_end() {
    let body = r#"{"a":[1.5e3,true,"\u00e9\ud83d\ude00"],"event":"x"}"#;
    for end in 1..body.len() {
        assert_rejected(&body[..end], Reason::UnexpectedEnd, end);
    }
}

#[test]
fn what_follows_the_root_is_rejected() {
    assert_rejected(r#"{"event":"x"}{"event":"x"}"#, Reason::TrailingBytes, 13);
    assert_rejected("{\"event\":\"x\"} \r\n\0", Reason::TrailingBytes, 16);
    assert_rejected(r#"{"event":"x"}}"#, Reason::TrailingBytes, 13);
}

#[test]
fn strings_are_held_to_the_byte() {
    assert_rejected("{\"event\":\"x\ny\"}", Reason::ControlCharacter, 11);
    assert_rejected("{\"event\":\"x\",\"\0\":1}", Reason::ControlCharacter, 14);
    assert_rejected("{\"event\":\"xyz012345678\x1F\"}", Reason::ControlCharacter, 22);
    for escape in [r"\x", r"\U0041", r"\ ", r"\u12G4", r"\u 123", r"\u+123", r"\'"] {
        assert_rejected(format!(r#"{{"event":"{escape}"}}"#), Reason::InvalidEscape, 10);
    }
    for half in [r"\ud800", r"\uDFFF", r"\udbff\n", r"\ud800x", r"\ud800\ud800", r"\ud800\u0041"] {
        assert_rejected(format!(r#"{{"event":"{half}"}}"#), Reason::LoneSurrogate, 10);
    }
    assert_rejected(r#"{"event":"\ud800\uZZZZ"}"#, Reason::InvalidEscape, 16);
}

#[test]
fn numbers_are_held_to_the_byte() {
    for (number, fault) in [
        ("01", 1),
        ("-01", 2),
        ("00", 1),
        ("-", 1),
        ("+1", 0),
        (".5", 0),
        ("1.", 2),
        ("1.e1", 2),
        ("1e", 2),
        ("1e+", 3),
        ("-x", 1),
        ("1.5.5x", 3),
        ("1e5e", 3),
    ] {
        let body = format!(r#"{{"event":"x","a":{number}}}"#);
        let is_number = !matches!(number, "1.5.5x" | "1e5e");
        let reason = if is_number { Reason::InvalidNumber } else { Reason::UnexpectedByte };
        assert_rejected(body, reason, 17 + fault);
    }
}

#[test]
fn words_are_held_to_the_byte() {
    for (word, fault) in
        [("True", 0), ("tru", 3), ("nil", 1), ("NaN", 0), ("Infinity", 0), ("fals3", 4), ("x", 0)]
    {
        assert_rejected(
            format!(r#"{{"event":"x","a":{word}}}"#),
            Reason::InvalidLiteral,
            17 + fault,
        );
    }
}

#[test]
fn nesting_of_129_is_too_deep() {
    for (open, close) in [("[", "]"), (r#"{"k":"#, "}")] {
        let body = format!(r#"{{"event":"x","v":{}0{}}}"#, open.repeat(128), close.repeat(128));
        assert_rejected(body, Reason::TooDeep, 17 + 127 * open.len());
    }
}

#[test]
fn there_must_be_exactly_one_event_and_it_must_have_a_name() {
    assert_rejected("{}", Reason::EventMissing, 1);
    assert_rejected(r#"{"a":{"event":"x"}} x"#, Reason::EventMissing, 18);
    assert_rejected(r#"{"event":"x","event":"x"}"#, Reason::EventTwice, 13);
    assert_rejected(r#"{"event":"x","\u0065vent":1}"#, Reason::EventTwice, 13);
    assert_rejected(r#"{"event":""}"#, Reason::EventEmpty, 9);
    for value in ["1", "-1", "true", "null", "{}", "[\"x\"]"] {
        assert_rejected(format!(r#"{{"event": {value}}}"#), Reason::EventNotAString, 10);
    }
    assert_rejected(r#"{"event":x}"#, Reason::InvalidLiteral, 9);
    assert_rejected(r#"{"event":}"#, Reason::UnexpectedByte, 9);
}

#[test]
fn bytes_that_are_not_utf8_are_rejected_unless_the_grammar_fails_before_them() {
    assert_rejected(b"{\"event\":\"x\xFF\"}", Reason::InvalidUtf8, 11);
    assert_rejected(b"{\"event\":\"\xED\xA0\x80\"}", Reason::InvalidUtf8, 10);
    assert_rejected(b"{\"event\":\"\xC3\"}", Reason::InvalidUtf8, 10);
    assert_rejected(b"\xFF{\"event\":\"x\"}", Reason::InvalidUtf8, 0);
    assert_rejected(b"{\"event\":1,\"a\":\"\xFF\"}", Reason::EventNotAString, 9);
    assert_rejected(b"{\"event\":\"x\",\"a\":\"\xFF\",}", Reason::InvalidUtf8, 18);
    assert_rejected(b"{\"event\":\"x\"} \xFF", Reason::InvalidUtf8, 14);
    assert_rejected(b"{\"a\":\"\xFF", Reason::InvalidUtf8, 6);
}

#[test]
fn a_rejection_reads_as_one_line() {
    let rejection = Rewriter::new().rewrite(b"{\"event\":\"\"}", &mut Vec::new()).unwrap_err();
    assert_eq!(rejection.to_string(), "the value of \"event\" is the empty string (byte 9)");
    assert_eq!(rejection.reason.as_str(), "event_empty");
}
