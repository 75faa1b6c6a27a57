//! Every WebHook body of `tests/data` becomes its CDR line, byte for byte.

use crate::support::reference;
use cdrlog::Rewriter;

const WEBHOOKS: &str = include_str!("../data/webhooks.jsonl");
const CDR: &str = include_str!("../data/cdr.jsonl");

#[test]
fn every_webhook_of_the_data_becomes_its_cdr_line_byte_for_byte() {
    assert_eq!(WEBHOOKS.lines().count(), CDR.lines().count());
    for (body, expected) in WEBHOOKS.lines().zip(CDR.split_inclusive('\n')) {
        let mut line = Vec::new();
        let length = Rewriter::new().rewrite(body.as_bytes(), &mut line).expect(body);
        assert_eq!(String::from_utf8_lossy(&line), expected);
        assert_eq!(length, expected.len());
        assert_eq!(line.len(), body.len() - 6 + 1, "a compact body gets 6 bytes shorter");
    }
}

#[test]
fn the_reference_knows_the_same_lines() {
    for (body, expected) in WEBHOOKS.lines().zip(CDR.split_inclusive('\n')) {
        assert_eq!(reference::line(body.as_bytes()).as_deref(), Some(expected.as_bytes()));
    }
}

#[test]
fn lines_are_appended_and_a_rejected_body_leaves_nothing() {
    let rewriter = Rewriter::new();
    let mut lines = Vec::new();
    for body in WEBHOOKS.lines() {
        rewriter.rewrite(body.as_bytes(), &mut lines).expect(body);
        rewriter.rewrite(&body.as_bytes()[1..], &mut lines).expect_err(body);
    }
    assert_eq!(String::from_utf8_lossy(&lines), CDR);
}
