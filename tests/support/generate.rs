//! Strategies for bodies: events in every dress, and the same with faults put in.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const BLANKS: &[&str] =
    &["", "", "", "", "", " ", "\n", "\r\n", "\t", "  \r \n\t ", "                    "];

/// What strings are made of. Long plain pieces move what follows over the edges of blocks.
const STRING_PIECES: &[&str] = &[
    "",
    "a",
    "event",
    "0123456789abcdef0123456789abcdef",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\\\"",
    "\\\\",
    "\\/",
    "\\b\\f",
    "\\n\\r\\t",
    "\\u0065",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\u{e9}",
    "\u{20ac}",
    "\u{1f600}",
    "\u{7f}",
    " ",
    "true",
    "-1",
];

const SCALARS: &[&str] = &[
    "true",
    "false",
    "null",
    "0",
    "-0",
    "7",
    "1700000000123",
    "-12.5e+3",
    "0.0",
    "5.967",
    "1E400",
    "0e-1",
    "123456789012345678901234567890.098765432109876543210987654321",
];

/// What a fault is made of: bytes that mean something, and some that never do.
const FAULTS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b" ",
    b"\n",
    b"0",
    b"-",
    b".",
    b"e",
    b"t",
    b"true",
    b"\0",
    b"\x1f",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\u",
    b"\\ud800",
    b"\\udc00",
    b"\"event\"",
    b",\"event\":\"y\"",
];

fn blanks() -> impl Strategy<Value = String> {
    select(BLANKS).prop_map(str::to_owned)
}

fn string() -> impl Strategy<Value = String> {
    vec(select(STRING_PIECES), 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn between(open: char, items: Vec<String>, close: char) -> String {
    format!("{open}{}{close}", items.join(","))
}

/// A member whose key is not `event` by itself.
fn member(value: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    (blanks(), string(), blanks(), blanks(), value, blanks())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"))
}

fn value() -> BoxedStrategy<String> {
    let leaf = prop_oneof![string(), select(SCALARS).prop_map(str::to_owned)].boxed();
    leaf.prop_recursive(4, 24, 5, |inner| {
        let item =
            (blanks(), inner.clone(), blanks()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        prop_oneof![
            vec(item, 0..5).prop_map(|items| between('[', items, ']')),
            vec(member(inner.boxed()), 0..5).prop_map(|members| between('{', members, '}')),
            blanks().prop_map(|blanks| format!("{{{blanks}}}")),
        ]
    })
    .boxed()
}

fn event_member() -> impl Strategy<Value = String> {
    let key =
        select(&["\"event\"", "\"event\"", "\"event\"", "\"\\u0065vent\"", "\"even\\u0074\""][..]);
    let name = string().prop_filter("a name", |name| name != "\"\"");
    (blanks(), key, blanks(), blanks(), name, blanks())
        .prop_map(|(a, key, b, c, name, d)| format!("{a}{key}{b}:{c}{name}{d}"))
}

/// A body that is an event, but for a second `event` that chance may bring.
pub fn event() -> impl Strategy<Value = Vec<u8>> {
    (blanks(), vec(member(value()), 0..8), event_member(), any::<Index>(), blanks()).prop_map(
        |(before, mut members, event, index, after)| {
            members.insert(index.index(members.len() + 1), event);
            format!("{before}{}{after}", between('{', members, '}')).into_bytes()
        },
    )
}

/// An event in which one to three places are overwritten, cut out or filled in.
pub fn broken_event() -> impl Strategy<Value = Vec<u8>> {
    let fault = (any::<Index>(), 0_usize..3, select(FAULTS));
    (event(), vec(fault, 1..4)).prop_map(|(mut body, faults)| {
        for (index, removed, fault) in faults {
            let start = index.index(body.len() + 1);
            let end = body.len().min(start + removed);
            body.splice(start..end, fault.iter().copied());
        }
        body
    })
}

/// Tokens in any order: mostly not JSON, and near it.
pub fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        select(&["{", "}", "[", "]", ":", ",", "\"event\":\"x\"", "\"a\":"][..])
            .prop_map(str::to_owned),
        string(),
        select(SCALARS).prop_map(str::to_owned),
        blanks(),
    ];
    vec(token, 0..40)
        .prop_map(|tokens| format!("{{\"event\":\"x\",\"a\":{}}}", tokens.concat()).into_bytes())
}
