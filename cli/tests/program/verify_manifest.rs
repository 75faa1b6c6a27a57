//! `cdrlog verify`: what it says of a manifest that was removed, cut or written anew.
//!
//! Without a hash that was kept elsewhere, a manifest whose end was removed together with the files
//! of that end is a manifest like any other: "nothing is wrong" was said beside it.

use std::fs;

use cdrlog::manifest::path_in;

use crate::run::{cdrlog, run};
use crate::verify::{
    NAMES, directory, expect_nothing, expect_one, findings, finished, verify, write_manifest,
};

/// What `--print-hash` prints.
fn kept(directory: &std::path::Path) -> String {
    let printed = run(verify(directory).arg("--print-hash")).expect(0, &[]);
    assert_eq!(printed.stderr, "");
    printed.stdout.trim_end().to_owned()
}

#[test]
fn the_printed_hash_is_that_of_the_last_line_and_is_expected_for_ever_after() {
    let directory = directory();
    let directory = directory.path();
    let manifest = fs::read_to_string(path_in(directory)).unwrap();
    let hash = kept(directory);
    assert_eq!(hash, blake3::hash(manifest.lines().last().unwrap().as_bytes()).to_string());
    run(verify(directory).args(["--expect", &hash])).expect(0, &["nothing is wrong"]);
    // The manifest grows, and the hash that was kept is still in it.
    write_manifest(directory, &NAMES.map(finished));
    let later = kept(directory);
    assert_ne!(hash, later);
    run(verify(directory).args(["--expect", &hash, "--expect", &later])).expect(0, &[]);
    let both = run(verify(directory).args(["--print-hash", "--expect", &hash])).expect(0, &[]);
    assert_eq!(both.stdout, format!("{later}\n"));
}

#[test]
fn a_manifest_whose_last_line_was_removed_with_its_file_is_found_by_the_expected_hash() {
    let directory = directory();
    let directory = directory.path();
    let hash = kept(directory);
    write_manifest(directory, &[finished(NAMES[0]), finished(NAMES[1])]);
    fs::remove_file(directory.join(NAMES[2])).unwrap();
    expect_nothing(directory);
    let ended = run(verify(directory).args(["--expect", &hash])).expect(1, &["1 finding"]);
    assert!(ended.stdout.contains(&format!("no line of it has the hash {hash}")), "{ended:?}");
    let print = run(verify(directory).args(["--print-hash", "--expect", &hash]));
    assert_eq!(print.expect(1, &[&hash]).stdout, "");
}

#[test]
fn a_manifest_that_was_written_anew_is_found_by_the_expected_hash() {
    let directory = directory();
    let directory = directory.path();
    let hash = kept(directory);
    // Another order is enough.
    write_manifest(directory, &[NAMES[1], NAMES[0], NAMES[2]].map(finished));
    expect_nothing(directory);
    let ended = run(verify(directory).args(["--expect", &hash, "--json"])).expect(1, &[]);
    assert!(ended.stdout.contains("\"reason\":\"manifest_expected\""), "{ended:?}");
}

#[test]
fn a_removed_manifest_is_a_note_that_the_summary_repeats_and_a_finding_if_it_is_required() {
    for cut_to_nothing in [false, true] {
        let directory = directory();
        let directory = directory.path();
        run(verify(directory).arg("--require-manifest")).expect(0, &["nothing is wrong"]);
        let hash = kept(directory);
        if cut_to_nothing {
            fs::write(path_in(directory), "").unwrap();
        } else {
            fs::remove_file(path_in(directory)).unwrap();
        }
        let ended = run(&mut verify(directory));
        let ended =
            ended.expect(0, &["note", "there is no manifest", "not everything could be checked"]);
        assert!(!ended.stderr.contains("nothing is wrong"), "{ended:?}");
        run(verify(directory).arg("--require-manifest")).expect(1, &["1 finding"]);
        run(verify(directory).args(["--expect", &hash])).expect(1, &["1 finding"]);
        let print = run(verify(directory).arg("--print-hash")).expect(1, &["there is no manifest"]);
        assert_eq!(print.stdout, "");
    }
}

#[test]
fn a_finished_file_that_is_not_listed_is_a_finding_if_the_manifest_is_required() {
    let directory = directory();
    let directory = directory.path();
    write_manifest(directory, &[finished(NAMES[0]), finished(NAMES[1])]);
    let ended = run(&mut verify(directory)).expect(0, &["not everything could be checked"]);
    assert!(!ended.stderr.contains("nothing is wrong"), "{ended:?}");
    let ended = run(verify(directory).arg("--require-manifest")).expect(1, &["1 finding"]);
    assert!(ended.stdout.contains(NAMES[2]), "{ended:?}");
    let file = directory.join(NAMES[2]);
    run(&mut verify(&file)).expect(0, &[]);
    run(verify(&file).arg("--require-manifest")).expect(1, &["1 finding"]);
    run(verify(&directory.join(NAMES[0])).arg("--require-manifest")).expect(0, &[]);
}

#[test]
fn a_chain_that_is_broken_gives_no_hash_to_keep() {
    let directory = directory();
    let directory = directory.path();
    let manifest = fs::read_to_string(path_in(directory)).unwrap();
    fs::write(path_in(directory), manifest.replacen("\"lines\":", "\"lines\":9", 1)).unwrap();
    let ended = run(verify(directory).arg("--print-hash")).expect(1, &["does not continue"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn an_expected_hash_is_one_of_one_directory() {
    let directory = directory();
    let zeros = "0".repeat(64);
    for wrong in ["", "abc", &"g".repeat(64)] {
        run(verify(directory.path()).args(["--expect", wrong])).expect(2, &["64 hexadecimal"]);
    }
    let mut two = verify(directory.path());
    run(two.arg(directory.path()).args(["--expect", &zeros])).expect(2, &["exactly one directory"]);
    let file = directory.path().join(NAMES[0]);
    run(verify(&file).arg("--print-hash")).expect(1, &["is not a directory"]);
    run(cdrlog().args(["verify", "--print-hash", "--json"])).expect(2, &["--json"]);
}

#[test]
fn a_finding_about_a_forged_line_is_short_and_one_line() {
    let directory = directory();
    let directory = directory.path();
    let forged = |name: &str| finished("NAME").replace("NAME", name);
    let long = "x".repeat(10_000);
    for entry in [
        forged(&format!("a\\n\\u001b[2J{long}")),
        finished(NAMES[0]).replace("\"lines\":", &format!("\"lines\":\"{long}\",\"x\":")),
    ] {
        write_manifest(
            directory,
            &[finished(NAMES[0]), entry, finished(NAMES[1]), finished(NAMES[2])],
        );
        expect_one(directory, "manifest.jsonl", Some(2), None, "manifest_entry");
        let ended = run(&mut verify(directory)).expect(1, &["1 finding"]);
        assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
        assert!(ended.stdout.len() < 1000, "{} bytes", ended.stdout.len());
        assert!(!findings(directory).is_empty());
    }
}
