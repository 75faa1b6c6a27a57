//! The examples of the documents, typed into a shell.

use std::path::Path;
use std::process::Command;

/// Runs a script with `cdrlog` in its path. Gives everything that it printed.
#[track_caller]
pub fn run_script(script: &str, directory: &Path) -> String {
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
