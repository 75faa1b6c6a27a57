//! How the shared library is linked, whether cargo or cargo-c builds it: its SONAME, the versions
//! of its symbols, and that it stays loaded.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        return;
    }
    // 0.x: each minor version may break the one before. cargo-c makes the same from
    // `version_suffix_components` in Cargo.toml.
    let (major, minor) = (variable("CARGO_PKG_VERSION_MAJOR"), variable("CARGO_PKG_VERSION_MINOR"));
    link_with(&format!("-Wl,-soname,libcdrlog.so.{major}.{minor}"));
    // Its threads run, and its handles point into it, after a `dlclose` too.
    link_with("-Wl,-z,nodelete");
    give_symbols_versions();
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
}

fn link_with(flag: &str) {
    println!("cargo:rustc-cdylib-link-arg={flag}");
}

/// Each symbol gets the SONAME as its version, so that a program that was linked with one version
/// does not run with another one that is not compatible.
///
/// rustc hands the linker a list of symbols without versions, which no linker lets another list
/// change. `--default-symver` does it without a list; of the usual linkers only GNU ld has it.
fn give_symbols_versions() {
    if env::var_os("TARGET") != env::var_os("HOST") || env::var_os("RUSTC_LINKER").is_some() {
        // A cross-compiler brings its own linker, and who names a linker means that one.
        return;
    }
    let has_gnu_ld = Command::new("ld.bfd")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if has_gnu_ld {
        link_with("-fuse-ld=bfd");
        link_with("-Wl,--default-symver");
    } else {
        println!("cargo:warning=there is no GNU ld (ld.bfd): symbols have no versions");
    }
}
