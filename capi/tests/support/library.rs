//! The shared and the static library, for programs in C. Cargo builds neither for a test.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The name by which programs have the library loaded; all packages here have one version.
pub const SONAME: &str =
    concat!("libcdrlog.so.", env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

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
    link_soname(&directory);
    directory
}

/// What an installation does: the loader looks for the file by the SONAME of the library.
fn link_soname(directory: &Path) {
    match std::os::unix::fs::symlink("libcdrlog.so", directory.join(SONAME)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{SONAME}: {error}"),
        Ok(()) | Err(_) => {}
    }
}
