//! Works under the tools that operators already have: the real logrotate, in both of its ways, and
//! rsyslog as the one that reads along.
//!
//! logrotate with `create` or `nocreate` renames the file and may make a new one: without a look at
//! the name, lines would go on into the renamed file, or into one that was removed. With
//! `copytruncate` it copies the file and cuts it to nothing: a writer that remembers its offset
//! would leave a hole of NULs, and what is written between its copy and its cut is gone, whoever
//! writes it.
//!
//! The packages are those of Debian; without them the tests say so and pass.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{body, line, lines, skip};
use cdrlog::Appender;

/// Where a program of the system is; says so where it is not.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let directories = path.split(':').chain(["/usr/sbin", "/sbin", "/usr/local/sbin"]);
    let mut paths = directories.map(|directory| Path::new(directory).join(program));
    let found = paths.find(|path| path.is_file());
    if found.is_none() {
        let package = program.trim_end_matches('d');
        skip(&format!("{program} is not installed"), &format!("apt-get install {package}"));
    }
    found
}

/// logrotate with a configuration of its own.
struct Logrotate {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Logrotate {
    fn new(directory: &Path, how: &str) -> Option<Self> {
        let program = find("logrotate")?;
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "\"{}/CDR.*.log\" {{\n rotate 100\n nocompress\n missingok\n {how}\n}}\n",
            directory.display()
        );
        let path = folder.path().join("config");
        fs::write(&path, config).unwrap();
        // It believes no configuration that others may write to.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Self { program, folder })
    }

    fn run(&self) {
        let at = |name: &str| self.folder.path().join(name);
        let output = Command::new(&self.program)
            .args(["--force", "--state"])
            .args([at("state"), at("config")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The CDR files and what logrotate made of them, the oldest first: `.log.2`, `.log.1`, `.log`.
fn texts(directory: &Path) -> Vec<String> {
    let mut paths = crate::support::files(directory, "CDR.");
    let age = |path: &PathBuf| {
        let number = path.extension().unwrap().to_str().unwrap().parse::<u32>();
        std::cmp::Reverse(number.unwrap_or(0))
    };
    paths.sort_by_key(age);
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Rotates six times while lines are written; gives the texts, and how many lines were sent.
fn rotate_while_writing(how: &str) -> Option<(Vec<String>, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let logrotate = Logrotate::new(directory.path(), how)?;
    let interval = Duration::from_millis(1);
    let appender = Appender::builder(&directory).flush_interval(interval).open().unwrap();
    let producer = appender.producer();
    let mut sent = 0;
    for _ in 0..6 {
        let (wanted, before) = (sent + 200, appender.stats().files_changed_by_others);
        std::thread::scope(|scope| {
            let rotating = scope.spawn(|| logrotate.run());
            while sent < wanted || !rotating.is_finished() {
                producer.send_slice(body(sent).as_bytes()).unwrap();
                sent += 1;
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        producer.send_slice(body(sent).as_bytes()).unwrap();
        sent += 1;
        appender.flush().unwrap();
        assert!(appender.stats().files_changed_by_others > before, "nothing was rotated");
    }
    appender.close().unwrap();
    Some((texts(directory.path()), sent))
}

#[test]
fn logrotate_with_nocreate_loses_and_doubles_no_line_while_lines_are_written() {
    let Some((texts, sent)) = rotate_while_writing("nocreate") else { return };
    assert_eq!(texts.len(), 7);
    assert!(texts.concat() == lines(sent), "the files together are not the lines");
}

/// Where cdrlog makes the new file before logrotate does, logrotate moves that one to `.backup`:
/// the lines are there, but no name says in which order.
#[test]
fn logrotate_with_create_loses_and_doubles_no_line_while_lines_are_written() {
    let Some((texts, sent)) = rotate_while_writing("create") else { return };
    let text = texts.concat();
    let mut found: Vec<&str> = text.split_inclusive('\n').collect();
    let mut expected: Vec<String> = (0..sent).map(line).collect();
    found.sort_unstable();
    expected.sort();
    assert!(found == expected, "lines are missing, doubled or split");
}

#[test]
fn logrotate_with_copytruncate_between_two_writes_loses_nothing_and_leaves_no_hole() {
    let directory = tempfile::tempdir().unwrap();
    let Some(logrotate) = Logrotate::new(directory.path(), "copytruncate") else { return };
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    for number in 0..600 {
        producer.send_slice(body(number).as_bytes()).unwrap();
        if number % 100 == 99 {
            appender.flush().unwrap();
            logrotate.run();
        }
    }
    appender.close().unwrap();
    assert!(texts(directory.path()).concat() == lines(600), "the files together are not the lines");
}

/// What is written between the copy and the cut of logrotate is gone: that is why its manual warns
/// of `copytruncate`. What is left is whole all the same.
#[test]
fn logrotate_with_copytruncate_during_writes_leaves_whole_lines_without_nuls_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let Some(logrotate) = Logrotate::new(directory.path(), "copytruncate") else { return };
    let interval = Duration::from_millis(1);
    let appender = Appender::builder(&directory).flush_interval(interval).open().unwrap();
    let producer = appender.producer();
    let mut sent = 0;
    for _ in 0..5 {
        std::thread::scope(|scope| {
            let rotating = scope.spawn(|| logrotate.run());
            while !rotating.is_finished() {
                producer.send_slice(body(sent).as_bytes()).unwrap();
                sent += 1;
                std::thread::sleep(Duration::from_micros(20));
            }
        });
    }
    producer.send_slice(body(sent).as_bytes()).unwrap();
    sent += 1;
    appender.close().unwrap();
    let texts = texts(directory.path());
    assert!(texts.last().unwrap().ends_with('\n'), "half a line in the live file");
    let mut next = 0;
    for text in &texts {
        assert!(!text.contains('\0'), "NULs");
        // The last line of a copy may be a part of one.
        for found in text.split_inclusive('\n').filter(|found| found.ends_with('\n')) {
            let number = found.split([':', ',']).nth(2).and_then(|text| text.parse().ok());
            let number = number.unwrap_or_else(|| panic!("a broken line: {found}"));
            assert!(found == line(number) && number >= next, "{found} behind {next}");
            next = number + 1;
        }
    }
    assert_eq!(next, sent, "the last line is missing");
}

/// rsyslog, killed with the test.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Rsyslog {
    /// Reads all CDR files of `directory` along, and appends their lines to `folder`/received.
    fn start(directory: &Path, folder: &Path) -> Option<Self> {
        let program = find("rsyslogd")?;
        let (directory, folder) = (directory.display(), folder.display());
        let config = format!(
            "global(workDirectory=\"{folder}\")\n\
             module(load=\"imfile\" mode=\"inotify\")\n\
             template(name=\"raw\" type=\"string\" string=\"%msg%\\n\")\n\
             input(type=\"imfile\" File=\"{directory}/CDR.*.log\" Tag=\"cdr\" ruleset=\"cdr\")\n\
             ruleset(name=\"cdr\") {{\n\
             action(type=\"omfile\" file=\"{folder}/received\" template=\"raw\")\n}}\n"
        );
        let path = format!("{folder}/config");
        fs::write(&path, config).unwrap();
        let child = Command::new(program)
            .args(["-n", "-f", &path, "-i", &format!("{folder}/pid")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self(child))
    }
}

#[test]
fn rsyslog_reads_every_line_once_across_rotations() {
    let (directory, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(mut rsyslog) = Rsyslog::start(directory.path(), folder.path()) else { return };
    let appender = Appender::builder(&directory).rotate_bytes(20_000).open().unwrap();
    let producer = appender.producer();
    let received = || fs::read_to_string(folder.path().join("received")).unwrap_or_default();
    let count = |text: &str| text.bytes().filter(|&byte| byte == b'\n').count();
    let mut sent = 0;
    let end = Instant::now() + Duration::from_secs(60);
    for round in 1..=20 {
        while sent < round * 50 {
            producer.send_slice(body(sent).as_bytes()).unwrap();
            sent += 1;
        }
        appender.flush().unwrap();
        // It reads along, at its own pace.
        while count(&received()) < sent as usize {
            if let Some(status) = rsyslog.0.try_wait().unwrap() {
                skip(
                    &format!("rsyslogd does not run here: {status}"),
                    "let it run by itself first",
                );
                return;
            }
            assert!(Instant::now() < end, "{} of {sent} lines were read", count(&received()));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(appender.close().unwrap().rotations > 5);
    let mut found: Vec<String> = received().split_inclusive('\n').map(str::to_owned).collect();
    let mut expected: Vec<String> = (0..sent).map(line).collect();
    found.sort();
    expected.sort();
    assert!(found == expected, "lines are missing, doubled or changed");
}
