//! The rewriter says what the naive reference says, whatever the body.

use crate::support::{generate, reference};
use cdrlog::{Reason, Rewriter};
use proptest::prelude::*;

fn rewrite(body: &[u8]) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    Rewriter::new().rewrite(body, &mut line).ok().map(|_| line)
}

/// Bodies that property tests found once, on which an implementation and the reference differed.
const FOUND_ONCE: [&str; 2] = [
    concat!(
        "                    {\"{\u{1f600}{\"\r\n} },\"\":                    [], \"event\" :\r\n",
        r#""\n\r\t\b\fa\n\r\t"                    ,                    "" :{                    "":"\b\f"  "#,
        "\r \n\t ",
        r#","\"\"aa" : "\"" , "a\b\f"  "#,
        "\r \n\t ",
        r#":"\"0123456789abcdef0123456789abcdef\n\r\t\b\f0123456789abcdef0123456789abcdef"}}"#,
    ),
    r#"{"event":"x","a":}}[}"#,
];

#[test]
fn bodies_that_once_differed_become_what_the_reference_says() {
    for body in FOUND_ONCE {
        reference::check(body.as_bytes(), rewrite(body.as_bytes()).as_deref());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_event_becomes_the_line_of_the_reference(body in generate::event()) {
        reference::check(&body, rewrite(&body).as_deref());
    }

    #[test]
    fn a_broken_event_is_accepted_or_rejected_as_by_the_reference(body in generate::broken_event()) {
        reference::check(&body, rewrite(&body).as_deref());
    }

    #[test]
    fn tokens_in_any_order_are_accepted_or_rejected_as_by_the_reference(body in generate::tokens()) {
        reference::check(&body, rewrite(&body).as_deref());
    }

    #[test]
    fn any_bytes_are_accepted_or_rejected_as_by_the_reference(body in any::<Vec<u8>>()) {
        reference::check(&body, rewrite(&body).as_deref());
    }

    /// Every event cut short is rejected at its end, or where its fault was.
    #[test]
    fn an_event_cut_short_is_never_accepted(body in generate::event(), end in any::<prop::sample::Index>()) {
        let root_end = body.trim_ascii_end().len();
        let cut = &body[..end.index(root_end)];
        let rejection = Rewriter::new().rewrite(cut, &mut Vec::new()).unwrap_err();
        prop_assert!(rejection.offset <= cut.len());
        if rejection.reason == Reason::UnexpectedEnd {
            prop_assert_eq!(rejection.offset, cut.len());
        }
    }
}
