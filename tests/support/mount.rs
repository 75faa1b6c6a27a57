//! Small file systems to be filled and frozen. They take root; where they cannot be had, tests say
//! why and skip.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::skip::skip;

/// A file system, unmounted at the end of the test however it ends.
pub struct Mount {
    home: tempfile::TempDir,
    is_frozen: bool,
    /// What the image lies on, where that may become full.
    below: Option<Box<Mount>>,
}

impl Mount {
    /// A file system of `kind` ("tmpfs", "ext4", "btrfs", "xfs") and about this size.
    pub fn new(kind: &str, mebibytes: u64) -> Option<Self> {
        Self::try_new(kind, mebibytes).inspect_err(|reason| skip_without(kind, reason)).ok()
    }

    /// A file system in memory that has room for so many files and directories.
    pub fn with_inodes(inodes: u64) -> Option<Self> {
        Self::with_options("tmpfs", 16, &format!("nr_inodes={inodes}"))
            .inspect_err(|reason| skip_without("tmpfs", reason))
            .ok()
    }

    fn try_new(kind: &str, mebibytes: u64) -> Result<Self, String> {
        // An ext4 that meets an error goes on with reads only, as most distributions set it up.
        Self::with_options(kind, mebibytes, if kind == "ext4" { "errors=remount-ro" } else { "rw" })
    }

    fn with_options(kind: &str, mebibytes: u64, options: &str) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mkfs: &[&str] = match kind {
            "tmpfs" => &[],
            "ext4" => &["mkfs.ext4", "-q", "-F"],
            "btrfs" => &["mkfs.btrfs", "-q"],
            _ => &["mkfs.xfs", "-q"],
        };
        Self::make(home, kind, mebibytes, options, mkfs)
    }

    fn make(
        home: tempfile::TempDir,
        kind: &str,
        mebibytes: u64,
        options: &str,
        mkfs: &[&str],
    ) -> Result<Self, String> {
        let point = home.path().join("mnt");
        let image = home.path().join("image");
        fs::create_dir(&point).map_err(|error| error.to_string())?;
        let (image_text, size) = (image.display().to_string(), format!("size={mebibytes}m"));
        let mut mount = vec!["-t", kind, "-o", options, "-o"];
        if kind == "tmpfs" {
            mount.extend([size.as_str(), "cdrlog-test"]);
        } else {
            let file = fs::File::create(&image).map_err(|error| error.to_string())?;
            file.set_len(mebibytes << 20).map_err(|error| error.to_string())?;
            run(mkfs.iter().copied().chain([image_text.as_str()]))?;
            mount.extend(["loop", image_text.as_str()]);
        }
        let point_text = point.display().to_string();
        run(["mount"].into_iter().chain(mount).chain([point_text.as_str()]))?;
        Ok(Self { home, is_frozen: false, below: None })
    }

    /// An ext4 of 256 MiB on a disk that holds only so much: once that is full, blocks that were not
    /// written before are lost on their way to the disk, which only a sync is told.
    pub fn on_failing_disk(mebibytes: u64) -> Option<Self> {
        let below = Self::new("tmpfs", mebibytes)?;
        let home = tempfile::tempdir_in(below.path()).unwrap();
        let mkfs = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"];
        let made = Self::make(home, "ext4", 256, "rw", &mkfs);
        let made = made.inspect_err(|reason| skip_without("ext4", reason));
        let mut mount = made.ok()?;
        mount.below = Some(Box::new(below));
        Some(mount)
    }

    /// What the image lies on.
    pub fn below(&self) -> &Self {
        self.below.as_ref().unwrap()
    }

    pub fn path(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    /// Takes all space there is, until [`free`](Self::free).
    pub fn fill(&self) {
        use std::io::Write;
        let mut filler = fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        for block in [vec![1; 1 << 20], vec![1; 16 << 10]] {
            while filler.write_all(&block).is_ok() {}
        }
        // Space that the file system had only promised is taken by now, or turns out to be missing.
        let _ = filler.sync_data();
    }

    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes all room for files that there is, until [`free_inodes`](Self::free_inodes).
    pub fn take_inodes(&self) {
        let mut number = 0;
        while fs::File::create_new(self.path().join(format!("filler-{number}"))).is_ok() {
            number += 1;
        }
    }

    pub fn free_inodes(&self) {
        for entry in fs::read_dir(self.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Lets an ext4 meet an error, as one that finds a damaged block: everything is read-only from
    /// then on, also files that are open. Gives `false` where that cannot be done.
    pub fn break_ext4(&self) -> bool {
        let image = self.home.path().join("image");
        let losetup = Command::new("losetup").arg("-j").arg(image).output().unwrap();
        let text = String::from_utf8_lossy(&losetup.stdout).into_owned();
        let device = text.split(':').next().unwrap_or_default().replace("/dev/", "");
        let broken = fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1");
        if let Err(reason) = &broken {
            skip(
                &format!("cannot break {device}: {reason}"),
                "run as root, with a kernel that has ext4",
            );
        }
        broken.is_ok()
    }

    pub fn make_read_only(&self) {
        run(["mount", "-o", "remount,ro", self.path().to_str().unwrap()]).unwrap();
    }

    pub fn make_writable(&self) {
        run(["mount", "-o", "remount,rw", self.path().to_str().unwrap()]).unwrap();
    }

    /// Ends the file system as a power cut does: what was not synced is gone. Gives `false` where
    /// that cannot be done.
    pub fn cut_power(&self) -> bool {
        /// `EXT4_IOC_SHUTDOWN`, the same number as `XFS_IOC_GOINGDOWN`.
        const SHUTDOWN: libc::c_ulong = 0x8004_587d;
        /// Not even the log of the file system is written.
        const NO_LOG_FLUSH: u32 = 2;
        let root = fs::File::open(self.path()).unwrap();
        // SAFETY: the descriptor is open, and the call reads one u32.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &NO_LOG_FLUSH) };
        if result != 0 {
            let reason = std::io::Error::last_os_error();
            skip(&format!("cannot cut the power: {reason}"), "run as root, on ext4 or xfs");
        }
        result == 0
    }

    /// Mounts the image again, as the next boot does.
    pub fn boot_again(&self) {
        let point = self.path();
        run(["umount", point.to_str().unwrap()]).unwrap();
        let image = self.home.path().join("image");
        run(["mount", "-o", "loop", image.to_str().unwrap(), point.to_str().unwrap()]).unwrap();
    }

    /// Makes every change of the file system wait until [`thaw`](Self::thaw).
    pub fn freeze(&mut self) -> bool {
        let frozen = freeze_or_thaw("-f", &self.path());
        self.is_frozen = frozen.is_ok();
        if let Err(reason) = frozen {
            skip(&format!("cannot freeze: {reason}"), "run as root; apt-get install util-linux");
        }
        self.is_frozen
    }

    pub fn thaw(&mut self) {
        freeze_or_thaw("-u", &self.path()).unwrap();
        self.is_frozen = false;
    }
}

fn skip_without(kind: &str, reason: &str) {
    let package = match kind {
        "btrfs" => "; apt-get install btrfs-progs",
        "ext4" => "; apt-get install e2fsprogs",
        "xfs" => "; apt-get install xfsprogs",
        _ => "",
    };
    skip(&format!("no {kind} to test on: {reason}"), &format!("run as root{package}"));
}

fn freeze_or_thaw(flag: &str, path: &Path) -> Result<(), String> {
    run(["fsfreeze", flag, path.to_str().unwrap()])
}

/// Runs a command that must not hang a test run.
fn run<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let output = Command::new("timeout").arg("30").args(words).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.is_frozen {
            let _ = freeze_or_thaw("-u", &self.path());
        }
        // Lazily: a file that is still open must not keep the mount.
        if let Err(reason) = run(["umount", "-l", self.path().to_str().unwrap()]) {
            eprintln!("{} is left mounted: {reason}", self.path().display());
        }
    }
}
