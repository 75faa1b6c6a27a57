//! The interface is what is committed: the header, and the list of exported symbols.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use support::library::SONAME;
use support::{STRICT, has_or_skip, library_directory, package, run, skip};

fn committed(name: &str) -> String {
    std::fs::read_to_string(package().join(name)).unwrap()
}

fn symbols() -> BTreeSet<String> {
    committed("symbols.txt").lines().map(str::to_owned).collect()
}

/// The dynamic symbols that the library defines, with their versions.
fn exported() -> Vec<(String, Option<String>)> {
    let library = library_directory().join("libcdrlog.so");
    let mut nm = Command::new("nm");
    let listed = run(nm.args(["-D", "--defined-only", "--format=posix"]).arg(library));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let symbol = |line: &str| {
        let mut words = line.split(' ');
        let (name, kind) = (words.next()?, words.next()?);
        let (name, version) = name
            .split_once("@@")
            .map_or((name, None), |(name, version)| (name, Some(version.to_owned())));
        // The version itself is an absolute symbol.
        (kind != "A").then(|| (name.to_owned(), version))
    };
    listed.lines().filter_map(symbol).collect()
}

#[test]
fn the_shared_library_exports_the_symbols_of_the_list_and_no_others() {
    if has_or_skip("nm", "binutils") {
        let names: BTreeSet<String> = exported().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, symbols());
    }
}

#[test]
fn each_symbol_has_the_soname_as_its_version() {
    if has_or_skip("nm", "binutils") && has_or_skip("ld.bfd", "binutils") {
        let others: Vec<_> = exported()
            .into_iter()
            .filter(|(_, version)| version.as_deref() != Some(SONAME))
            .collect();
        assert_eq!(others, []);
    }
}

#[test]
fn the_shared_library_has_a_soname_and_stays_loaded() {
    if has_or_skip("readelf", "binutils") {
        let library = library_directory().join("libcdrlog.so");
        let listed = run(Command::new("readelf").arg("-dW").arg(library));
        let listed = String::from_utf8(listed.stdout).unwrap();
        let has = |tag: &str, value: &str| {
            listed.lines().any(|line| line.contains(tag) && line.contains(value))
        };
        assert!(has("(SONAME)", &format!("[{SONAME}]")), "{listed}");
        assert!(has("(FLAGS_1)", "NODELETE"), "{listed}");
    }
}

#[test]
fn the_header_declares_the_symbols_of_the_list_and_no_others() {
    let header = committed("include/cdrlog.h");
    let code: String = header.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let declared: BTreeSet<String> = code
        .match_indices("cdrlog_")
        .map(|(start, _)| {
            let name = &code[start..];
            name[..name.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap()].to_owned()
        })
        .filter(|name| code.contains(&format!("{name}(")))
        .collect();
    assert_eq!(declared, symbols());
}

#[test]
fn the_committed_header_is_what_cbindgen_makes() {
    // The Debian package is too old to read the sources.
    let how_to_get = "cargo install cbindgen --locked";
    let version = Command::new("cbindgen").arg("--version").output();
    let version = version.map(|output| String::from_utf8(output.stdout).unwrap());
    let is_recent = version.as_deref().is_ok_and(|version| {
        let minor = version.trim().split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        minor.is_some_and(|minor| minor >= 28)
    });
    if !is_recent {
        skip("no cbindgen of version 0.28 or later", how_to_get);
        return;
    }
    let made = run(Command::new("cbindgen").arg("--quiet").arg(".").current_dir(package()));
    let made = String::from_utf8(made.stdout).unwrap();
    let is_same = made == committed("include/cdrlog.h");
    assert!(is_same, "include/cdrlog.h is old: cbindgen --output include/cdrlog.h . in capi/");
}

/// Compiles a program that includes the header twice and uses nothing.
fn compiles(compiler: &str, package_of_it: &str, standard: &str, directory: &Path) {
    if !has_or_skip(compiler, package_of_it) {
        return;
    }
    let is_cpp = standard.contains("++");
    let source = directory.join(if is_cpp { "header.cpp" } else { "header.c" });
    let text = "#include <cdrlog.h>\n#include <cdrlog.h>\n\
                int main(void) { return cdrlog_close(NULL) == CDRLOG_OK ? 0 : 1; }\n";
    std::fs::write(&source, text).unwrap();
    let mut command = Command::new(compiler);
    command.arg(format!("-std={standard}")).args(STRICT).arg("-fsyntax-only");
    run(command.arg("-I").arg(package().join("include")).arg(source));
}

#[test]
fn the_header_is_strict_c_and_cpp_for_gcc_and_clang() {
    let directory = tempfile::tempdir().unwrap();
    for standard in ["c99", "c11", "c17"] {
        compiles("gcc", "gcc", standard, directory.path());
        compiles("clang", "clang", standard, directory.path());
    }
    for standard in ["c++11", "c++17", "c++20"] {
        compiles("g++", "g++", standard, directory.path());
        compiles("clang++", "clang", standard, directory.path());
    }
}
