//! A program in C drives every function of the interface: `tests/c/`, whose tests have names of their
//! own. It is linked with the shared library and with the static one, and runs under
//! AddressSanitizer.
//!
//! The long form runs it under valgrind: `CDRLOG_VALGRIND=1 cargo test -p cdrlog-capi --test c`.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Places, cc, has_or_skip, link_shared, link_static, package, run, skip};

const VALGRIND: &str = "CDRLOG_VALGRIND";

fn sources() -> Vec<PathBuf> {
    let files = std::fs::read_dir(package().join("tests/c")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "c")).collect()
}

/// Builds the program, and has `runner` run each of its tests in a process and a directory of its
/// own. All that fail are named.
fn run_each(
    link: fn(&mut Command) -> &mut Command,
    flags: &[&str],
    runner: impl Fn(&Places, &Path) -> Command,
) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("api");
    let mut compiler = cc(&program);
    compiler.args(flags).args(sources());
    run(link(&mut compiler));
    let names = String::from_utf8(run(&mut Command::new(&program)).stdout).unwrap();
    assert!(names.lines().count() > 20, "tests are missing: {names}");
    let mut failures = Vec::new();
    for name in names.lines() {
        let places = Places::new();
        let output = runner(&places, &program).arg(name).arg(places.cdr()).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let is_silent = printed.is_empty();
        if !output.status.success() || !is_silent {
            let printed = String::from_utf8_lossy(&printed);
            failures.push(format!("{name}: {}\n{printed}", output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_shared_library_keeps_what_the_header_says_and_prints_nothing() {
    run_each(link_shared, &[], |places, program| places.command(program));
}

#[test]
fn the_static_library_does_too() {
    run_each(link_static, &[], |places, program| places.command(program));
}

/// The program is instrumented, the library is not: what is found is memory of the library that is
/// freed twice, used by the program after the library has freed it, or never freed.
#[test]
fn address_sanitizer_finds_nothing() {
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let probe = tempfile::tempdir().unwrap();
    let source = probe.path().join("probe.c");
    std::fs::write(&source, "int main(void) { return 0; }").unwrap();
    let built = Command::new("cc")
        .args(flags)
        .arg(&source)
        .arg("-o")
        .arg(probe.path().join("probe"))
        .output()
        .unwrap();
    if !built.status.success() {
        skip("the compiler has no AddressSanitizer", "apt-get install libasan8 libubsan1");
        return;
    }
    run_each(link_shared, &flags, |places, program| places.command(program));
}

#[test]
fn valgrind_finds_nothing() {
    if std::env::var_os(VALGRIND).is_none() {
        skip("valgrind takes minutes", &format!("{VALGRIND}=1"));
        return;
    }
    if !has_or_skip("valgrind", "valgrind") {
        return;
    }
    run_each(link_shared, &[], |places, program| {
        let mut command = places.command("valgrind");
        let suppressions = package().join("tests/c/valgrind.supp");
        // Leaks are for AddressSanitizer: in a forked child, all of its parent's memory is one
        // here.
        command.args(["--quiet", "--error-exitcode=9", "--leak-check=no"]);
        command.arg(format!("--suppressions={}", suppressions.display())).arg(program);
        command
    });
}
