//! A disk that can be stopped, as one that throttles or is frozen for a snapshot: an ext4 image,
//! mounted and frozen by the tools of util-linux. It takes root.

use std::path::{Path, PathBuf};
use std::process::Command;

const IMAGE_BYTES: u64 = 256 << 20;

/// Unmounted at the end, however that comes.
pub struct StoppableDisk {
    home: tempfile::TempDir,
    is_stopped: bool,
}

impl StoppableDisk {
    /// A disk beside the files of the other benches; or why there is none.
    pub fn new() -> Result<Self, String> {
        let home = super::common::directory();
        let (image, point) = (home.path().join("image"), home.path().join("mnt"));
        std::fs::create_dir(&point).map_err(|error| error.to_string())?;
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(IMAGE_BYTES).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", text(&image)])?;
        run("mount", &["-t", "ext4", "-o", "loop", text(&image), text(&point)])?;
        Ok(Self { home, is_stopped: false })
    }

    pub fn path(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    /// Lets every change of a file wait until [`go_on`](Self::go_on).
    pub fn stop(&mut self) -> Result<(), String> {
        run("fsfreeze", &["-f", text(&self.path())])?;
        self.is_stopped = true;
        Ok(())
    }

    pub fn go_on(&mut self) {
        if self.is_stopped {
            run("fsfreeze", &["-u", text(&self.path())]).expect("the disk goes on");
            self.is_stopped = false;
        }
    }
}

impl Drop for StoppableDisk {
    fn drop(&mut self) {
        self.go_on();
        if let Err(reason) = run("umount", &["-l", text(&self.path())]) {
            eprintln!("{} is left mounted: {reason}", self.path().display());
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
