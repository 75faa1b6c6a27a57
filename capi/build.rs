//! Gives each symbol of the shared library the version of its SONAME, so that a program that was
//! linked with one version does not run with another one that is not compatible.
//!
//! rustc hands the linker a list of symbols without versions, which no linker lets another list
//! change. `--default-symver` does it without a list; of the usual linkers only GNU ld has it.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("TARGET") != env::var_os("HOST") {
        // A cross-compiler brings its own linker.
        return;
    }
    let has_gnu_ld = Command::new("ld.bfd")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if has_gnu_ld {
        println!("cargo:rustc-cdylib-link-arg=-fuse-ld=bfd");
        println!("cargo:rustc-cdylib-link-arg=-Wl,--default-symver");
    } else {
        println!("cargo:warning=there is no GNU ld (ld.bfd): symbols have no versions");
    }
}
