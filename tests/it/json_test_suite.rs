//! The JSON test suite of Nicolas Seriot (`data/jsontestsuite`, with its licence): `y_` files are
//! JSON, `n_` files are not, and what is left open by RFC 8259 (`i_`) is decided here.
//!
//! A file is tried as the value of a member, and as the whole body.

use std::fs;
use std::path::Path;

use crate::support::reference;
use cdrlog::Rewriter;

/// The `i_` files that are accepted: numbers of any size and precision. Everything else left open
/// is rejected: what is not UTF-8, lone surrogates, byte order marks, 500 nested arrays.
fn is_accepted(name: &str) -> bool {
    name.starts_with("y_") || name.starts_with("i_number_")
}

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jsontestsuite");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the suite is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    assert_eq!(files.len(), 318, "the whole suite is there");
    files
}

fn wrapped(before: &str, value: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), value, after.as_bytes()].concat()
}

#[test]
fn a_value_is_accepted_exactly_where_the_suite_says_so() {
    for (name, value) in files() {
        for body in [
            wrapped(r#"{"event":"x","v":"#, &value, "}"),
            wrapped(r#"{"v":"#, &value, r#","event":"x"}"#),
            wrapped(r#"{"a":1,"event":"x","v":[1,"#, &value, r#"],"z":{}}"#),
        ] {
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
