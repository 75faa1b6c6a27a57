//! The shared and the static library, for programs in C. Cargo builds neither for a test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The folder in which `libcdrlog.so` and `libcdrlog.a` are, built now if they are old.
pub fn library_directory() -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(build);
    &DIRECTORY
}

/// Builds them as the running test or bench was built.
fn build() -> PathBuf {
    let this = std::env::current_exe().expect("the path of this program");
    let output = this.ancestors().nth(2).and_then(Path::file_name).expect("a target directory");
    let profile = match output.to_str() {
        Some("debug") => "dev",
        // A bench and a release go to the same directory.
        Some("release") => "bench",
        other => other.expect("a profile"),
    };
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "cdrlog-capi", "--lib", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo");
    assert!(status.success(), "the library does not build");
    let directory = target.join(output);
    for name in ["libcdrlog.so", "libcdrlog.a"] {
        assert!(directory.join(name).is_file(), "no {name} in {}", directory.display());
    }
    directory
}
