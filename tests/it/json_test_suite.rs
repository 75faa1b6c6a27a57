//! The JSON test suite: a file is tried as the value of a member, and as the whole body. (The unit tests of the
//! rewriter try the values with each of its implementations.)

use crate::support::json_suite::{events_with, files, is_accepted};
use crate::support::reference;
use cdrlog::Rewriter;

#[test]
fn a_value_is_accepted_exactly_where_the_suite_says_so() {
    for (name, value) in files() {
        for body in events_with(&value) {
            let result = Rewriter::new().rewrite(&body, &mut Vec::new());
            assert_eq!(result.is_ok(), is_accepted(&name), "{name}: {result:?}");
            assert_eq!(
                reference::line(&body).is_some(),
                is_accepted(&name),
                "{name}: the reference"
            );
        }
    }
}

/// None of the files has a root member `event`, so all are rejected; but a fault of the grammar
/// must show as such. With the member put in, whole texts (trailing bytes, byte order marks,
/// unclosed objects) are tried as they are.
#[test]
fn a_whole_text_is_accepted_exactly_where_the_suite_says_so() {
    for (name, text) in files() {
        assert!(Rewriter::new().rewrite(&text, &mut Vec::new()).is_err(), "{name} has no event");
        let Some(open) = text.iter().position(|&byte| byte == b'{') else { continue };
        let has_members =
            text[open + 1..].iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'}');
        let member = if has_members { r#""event":"x","# } else { r#""event":"x""# };
        let body = [&text[..=open], member.as_bytes(), &text[open + 1..]].concat();
        let result = Rewriter::new().rewrite(&body, &mut Vec::new());
        assert_eq!(result.is_ok(), reference::line(&body).is_some(), "{name}: {result:?}");
        if text.first() == Some(&b'{') {
            assert_eq!(result.is_ok(), is_accepted(&name), "{name}: {result:?}");
        }
    }
}
