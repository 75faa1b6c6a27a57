//! Every example of docs/billing.md prints what the page shows.

use std::process::Command;

use crate::shell::run_script;
use crate::skip::skip;

const PAGE: &str = include_str!("../../../../docs/billing.md");

/// The scripts of the page, each with the output that it shows, in their order.
fn examples() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("```sh\n").skip(1);
    let examples = blocks.map(|rest| {
        let (script, rest) = rest.split_once("```\n").expect("a script without an end");
        let rest = rest.strip_prefix("\n```text\n").expect("a script without its output");
        let (output, _) = rest.split_once("```\n").expect("an output without an end");
        (script, output)
    });
    examples.collect()
}

#[test]
fn every_example_of_the_page_prints_what_it_shows() {
    let has_jq = Command::new("jq").arg("--version").output().is_ok();
    if !has_jq {
        skip("the examples of docs/billing.md that use jq: it is not there", "apt-get install jq");
    }
    let examples = examples();
    assert!(examples.len() > 10, "the page has too few examples");
    let mut directory = tempfile::tempdir().unwrap();
    for (script, shown) in examples {
        // An example without files of its own goes on with those of the one before.
        if script.contains("mkdir ") {
            directory = tempfile::tempdir().unwrap();
        }
        if has_jq || !script.contains("jq ") {
            assert_eq!(run_script(script, directory.path()), shown, "{script}");
        }
    }
}
