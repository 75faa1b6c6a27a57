//! Every example of docs/billing.md prints what the page shows.

use std::path::Path;
use std::process::Command;

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

/// Runs a script with `cdrlog` in its path. Gives everything that it printed.
#[track_caller]
fn run(script: &str, directory: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_cdrlog"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let script = format!("exec 2>&1\n{script}");
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &script]).current_dir(directory);
    command.env("PATH", path).env("TZ", "UTC").env_remove("CDRLOG_UTC");
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{script}\n{printed}");
    printed
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
            assert_eq!(run(script, directory.path()), shown, "{script}");
        }
    }
}
