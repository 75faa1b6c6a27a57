//! What the tests of the C interface share: compilers, the library, and runs of C programs.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program needs a part of it")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

#[path = "../../../tests/support/skip.rs"]
pub mod skip;

pub mod library;

pub use library::library_directory;
pub use skip::skip;

/// The most that a compiler warns of, as errors.
pub const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The folder of this package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether this program can be run here.
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Like [`has`], and says where a person sees it that a test is skipped.
pub fn has_or_skip(program: &str, package: &str) -> bool {
    let has = has(program);
    if !has {
        skip(&format!("no {program}"), &format!("apt-get install {package}"));
    }
    has
}

/// Runs it, and fails the test with all that it printed if it fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}{}", output.status, printed(&output));
    output
}

fn printed(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("\n{}{}", text(&output.stdout), text(&output.stderr))
}

/// A compiler of C that makes a program with the shared library.
pub fn cc(program: &Path) -> Command {
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-g", "-O1", "-pthread"]).args(STRICT);
    command.arg("-I").arg(package().join("include"));
    command.arg(format!("-DCDRLOG_TEST_VERSION=\"{}\"", env!("CARGO_PKG_VERSION")));
    command.arg("-o").arg(program);
    command
}

/// Flags that link the shared library.
pub fn link_shared(command: &mut Command) -> &mut Command {
    let directory = library_directory();
    command.arg("-L").arg(directory).arg("-lcdrlog");
    command.arg(format!("-Wl,-rpath,{}", directory.display()))
}

/// Flags that link the library into the program.
pub fn link_static(command: &mut Command) -> &mut Command {
    command.arg(library_directory().join("libcdrlog.a")).args(["-ldl", "-lm"])
}

/// An empty directory for a CDR, and one for the inboxes of what is run, both removed when the test
/// ends, however it ends.
pub struct Places {
    cdr: TempDir,
    inboxes: TempDir,
}

impl Places {
    pub fn new() -> Self {
        let inboxes = tempfile::Builder::new().prefix("cdrlog-test-").tempdir_in("/dev/shm");
        Self { cdr: tempfile::tempdir().unwrap(), inboxes: inboxes.unwrap() }
    }

    pub fn cdr(&self) -> &Path {
        self.cdr.path()
    }

    /// A run of a program that makes its inboxes there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("CDRLOG_INBOX_DIRECTORY", self.inboxes.path());
        command
    }
}
