//! The JSON test suite of Nicolas Seriot (`data/jsontestsuite`, with its licence): `y_` files are
//! JSON, `n_` files are not, and what is left open by RFC 8259 (`i_`) is decided here.

use std::fs;
use std::path::Path;

/// The `i_` files that are accepted: numbers of any size and precision. Everything else left open
/// is rejected: what is not UTF-8, lone surrogates, byte order marks, 500 nested arrays.
pub fn is_accepted(name: &str) -> bool {
    name.starts_with("y_") || name.starts_with("i_number_")
}

/// Each file: its name, and what it holds.
pub fn files() -> Vec<(String, Vec<u8>)> {
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

/// Events with the content of a file as the value of a member, before and after `event` and inside.
pub fn events_with(value: &[u8]) -> [Vec<u8>; 3] {
    let wrapped = |before: &str, after: &str| [before.as_bytes(), value, after.as_bytes()].concat();
    [
        wrapped(r#"{"event":"x","v":"#, "}"),
        wrapped(r#"{"v":"#, r#","event":"x"}"#),
        wrapped(r#"{"a":1,"event":"x","v":[1,"#, r#"],"z":{}}"#),
    ]
}
