//! What must hold for any body and what was made of it. Shared by tests and fuzz targets.

use super::{line, members};

/// Panics where `found`, what a rewriter made of `body`, is not what the reference makes of it.
pub fn check(body: &[u8], found: Option<&[u8]>) {
    let expected = line(body);
    assert_eq!(
        found.map(String::from_utf8_lossy),
        expected.as_deref().map(String::from_utf8_lossy),
        "the line of {:?}",
        String::from_utf8_lossy(body)
    );
    if let Some(found) = found {
        check_members(body, found);
    }
}

/// The line is one line, and holds the members of the body but `event`, in their order.
fn check_members(body: &[u8], line: &[u8]) {
    let line = std::str::from_utf8(line)
        .expect("UTF-8")
        .strip_suffix('\n')
        .expect("a line feed at the end");
    assert!(!line.contains(['\r', '\n']), "one line");
    let body = std::str::from_utf8(body).expect("UTF-8").trim_matches([' ', '\t', '\r', '\n']);
    // The line nests one deeper than the body.
    let wrapper = members(line, 0).expect("JSON");
    let [event] = &wrapper[..] else { panic!("one member") };
    let root = &line[event.value.clone()];
    let kept = members(root, 1).expect("JSON");
    let mut kept = kept.iter();
    for member in members(body, 1).expect("JSON") {
        let value = body[member.value].replace(['\r', '\n'], " ");
        if member.key == "event" {
            assert_eq!(line[1..].get(..value.len()), Some(&value[..]), "the name");
        } else {
            let kept = kept.next().expect("no member lost");
            assert_eq!((&kept.key, &root[kept.value.clone()]), (&member.key, &value[..]));
        }
    }
    assert!(kept.next().is_none(), "no member gained");
}
