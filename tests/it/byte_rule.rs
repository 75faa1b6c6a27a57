//! Which bytes of the body the line keeps.

use crate::support::reference;
use cdrlog::Rewriter;

#[track_caller]
fn assert_line(body: &str, expected: &str) {
    let mut line = Vec::new();
    let length = Rewriter::new().rewrite(body.as_bytes(), &mut line).expect(body);
    assert_eq!(String::from_utf8_lossy(&line), format!("{expected}\n"));
    assert_eq!(length, line.len());
    assert!(length <= body.len(), "a line is never longer than its body");
    assert_eq!(reference::line(body.as_bytes()), Some(line), "the reference says the same");
}

#[test]
fn an_event_at_the_end_is_cut_from_the_comma_before_it() {
    assert_line(r#"{"a":1,"event":"x"}"#, r#"{"x":{"a":1}}"#);
    assert_line(r#"{ "a" : 1 , "event" : "x" }"#, r#"{"x":{ "a" : 1  }}"#);
    assert_line("{\"a\":1\t,\t\"event\"\t:\t\"x\"\t}", "{\"x\":{\"a\":1\t\t}}");
}

#[test]
fn an_event_at_the_front_is_cut_up_to_the_next_key() {
    assert_line(r#"{"event":"x","a":1}"#, r#"{"x":{"a":1}}"#);
    assert_line(r#"{ "event" : "x" , "a" : 1 }"#, r#"{"x":{ "a" : 1 }}"#);
}

#[test]
fn an_event_in_the_middle_is_cut_up_to_the_next_key() {
    assert_line(r#"{"a":1,"event":"x","b":2}"#, r#"{"x":{"a":1,"b":2}}"#);
    assert_line(r#"{ "a" : 1 , "event" : "x" , "b" : 2 }"#, r#"{"x":{ "a" : 1 , "b" : 2 }}"#);
}

#[test]
fn an_event_alone_leaves_an_empty_object() {
    assert_line(r#"{"event":"x"}"#, r#"{"x":{}}"#);
    assert_line(" {\r\n \"event\" : \"x\" \r\n} ", r#"{"x":{}}"#);
}

#[test]
fn a_line_break_between_tokens_becomes_one_space_a_byte() {
    assert_line(
        "{\r\n  \"event\": \"x\",\r\n  \"a\": [\n1,\r2\n]\r\n}\r\n",
        "{\"x\":{    \"a\": [ 1, 2 ]  }}",
    );
    assert_line("{\n\"a\":1\n,\n\"event\"\n:\n\"x\"\n}", "{\"x\":{ \"a\":1  }}");
}

#[test]
fn blanks_around_the_root_are_dropped() {
    assert_line(" \t\r\n{\"a\":1,\"event\":\"x\"}\r\n\t ", r#"{"x":{"a":1}}"#);
}

#[test]
fn every_byte_of_other_members_is_kept_as_it_came() {
    let members = r#""n":-0.0e+00,"big":123456789012345678901234567890,"e":1E400,"s":"\u00e9\/\ud83d\ude00","a":1,"a":2,"#;
    assert_line(
        &format!("{{{members}\"event\":\"x\"}}"),
        &format!("{{\"x\":{{{}}}}}", &members[..members.len() - 1]),
    );
}

#[test]
fn the_name_is_copied_with_its_escapes() {
    assert_line(r#"{"event":"a\"b\\\u0065\/","a":1}"#, r#"{"a\"b\\\u0065\/":{"a":1}}"#);
    assert_line("{\"event\":\"\u{e9}\u{1f600}\",\"a\":1}", "{\"\u{e9}\u{1f600}\":{\"a\":1}}");
    assert_line(r#"{"a":1,"event":"\\"}"#, r#"{"\\":{"a":1}}"#);
}

#[test]
fn the_key_is_compared_once_decoded() {
    assert_line(r#"{"\u0065vent":"x","a":1}"#, r#"{"x":{"a":1}}"#);
    assert_line(r#"{"a":1,"\u0065\u0076\u0065\u006E\u0074":"x"}"#, r#"{"x":{"a":1}}"#);
    assert_line(r#"{"\\u0065vent":"y","event":"x"}"#, r#"{"x":{"\\u0065vent":"y"}}"#);
    assert_line(
        r#"{"events":"y","even":1,"event":"x","\u0065ven":2,"Event":3}"#,
        r#"{"x":{"events":"y","even":1,"\u0065ven":2,"Event":3}}"#,
    );
}

#[test]
fn an_event_that_is_nested_or_inside_a_string_is_data() {
    assert_line(
        r#"{"data":{"event":"inner","a":["event",{"event":1}]},"s":"\"event\":\"y\"","event":"x"}"#,
        r#"{"x":{"data":{"event":"inner","a":["event",{"event":1}]},"s":"\"event\":\"y\""}}"#,
    );
    assert_line(r#"{"event":"event","v":"event"}"#, r#"{"event":{"v":"event"}}"#);
}

#[test]
fn nesting_of_128_is_accepted() {
    let (open, close) = ("[".repeat(127), "]".repeat(127));
    assert_line(
        &format!(r#"{{"event":"x","v":{open}{close}}}"#),
        &format!(r#"{{"x":{{"v":{open}{close}}}}}"#),
    );
    let (open, close) = (r#"{"k":"#.repeat(127), "}".repeat(127));
    assert_line(
        &format!(r#"{{"v":{open}0{close},"event":"x"}}"#),
        &format!(r#"{{"x":{{"v":{open}0{close}}}}}"#),
    );
}
