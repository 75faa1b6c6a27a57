//! The options file: TOML, with the names of the command line, `_` instead of `-`.
//!
//! The command line and the environment take precedence over the file. Paths are relative to the
//! working directory, as on the command line.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use toml::de::DeTable;

use super::options::Options;
use super::permissions::is_readable_by_others;
use crate::file_options::FileOptions;

/// The maximum length of an options file: a longer file is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file says.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) options: Options,
    /// The file holds a secret, and users other than its owner can read it.
    pub(super) is_exposed: bool,
}

/// An options file cannot be used. Values are not quoted: they may be secrets.
#[derive(Debug)]
#[non_exhaustive]
pub(super) enum ConfigError {
    Read {
        path: PathBuf,
        source: io::Error,
    },
    /// Something in it is wrong; `key` is the option, if it is known.
    Wrong {
        path: PathBuf,
        line: usize,
        key: Option<String>,
        fault: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Wrong { path, line, key: Some(key), fault } => {
                write!(f, "{}, line {line}: {key}: {fault}", path.display())
            }
            Self::Wrong { path, line, key: None, fault } => {
                write!(f, "{}, line {line}: {fault}", path.display())
            }
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Wrong { .. } => None,
        }
    }
}

impl Config {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            let fault = format!("it has more than {FILE_BYTES_MAX} bytes");
            return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, fault)));
        }
        let options = parse(&text).map_err(|wrong| wrong.in_file(path, &text))?;
        let has_secret = !options.header.is_empty() || options.ui_proxy_header.is_some();
        let is_exposed = has_secret && is_readable_by_others(&metadata);
        Ok(Self { options, is_exposed })
    }
}

/// What is wrong, and at which bytes.
struct Wrong {
    at: Range<usize>,
    key: Option<String>,
    fault: String,
}

impl Wrong {
    fn in_file(self, path: &Path, text: &str) -> ConfigError {
        let before = text.as_bytes().get(..self.at.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::Wrong { path: path.to_owned(), line, key: self.key, fault: self.fault }
    }
}

fn parse(text: &str) -> Result<Options, Wrong> {
    let wrong = |error: toml::de::Error, key| Wrong {
        at: error.span().unwrap_or(0..0),
        key,
        fault: error.message().to_owned(),
    };
    let table = DeTable::parse(text).map_err(|error| wrong(error, None))?;
    let known = names();
    for key in table.get_ref().keys() {
        let name: &str = key.get_ref();
        if !known.iter().any(|known| known == name) {
            let fault = unknown(name, &known);
            return Err(Wrong { at: key.span(), key: None, fault });
        }
    }
    let read = || -> Result<Options, toml::de::Error> {
        let mut files: FileOptions = toml::from_str(text)?;
        files.utc = toml::from_str(text)?;
        files.inbox = toml::from_str(text)?;
        Ok(Options { files, ..toml::from_str(text)? })
    };
    read().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let mut entries = table.get_ref().iter();
        let entry =
            entries.find(|(key, value)| (key.span().start..=value.span().end).contains(&at));
        let mut wrong = wrong(error, entry.map(|(key, _)| key.get_ref().to_string()));
        // The parser's message quotes the value.
        match wrong.key.as_deref() {
            Some("header") => wrong.fault = "it must be a list of strings".to_owned(),
            Some("ui_proxy_header") => wrong.fault = "it must be a string".to_owned(),
            _ => {}
        }
        wrong
    })
}

/// The options that a file may hold: all those of the command line except `--config`, by their
/// current names and those of earlier versions.
fn names() -> Vec<String> {
    let arguments = arguments();
    let names = arguments.get_arguments().flat_map(|argument| {
        let earlier = argument.get_all_aliases().unwrap_or_default();
        let earlier = earlier.into_iter().map(|name| name.replace('-', "_"));
        earlier.chain([argument.get_id().to_string()])
    });
    // Tables, which a command line cannot have.
    let tables = cfg!(feature = "ship").then(|| "ship".to_owned());
    names.chain(tables).collect()
}

fn arguments() -> clap::Command {
    Options::augment_args(clap::Command::new("serve"))
}

fn unknown(name: &str, known: &[String]) -> String {
    let nearest = known.iter().map(|known| (strsim::levenshtein(name, known), known)).min();
    match nearest.filter(|(distance, _)| distance * 3 <= name.len().max(6)) {
        Some((_, nearest)) => format!("unknown option {name:?}; did you mean {nearest:?}?"),
        None => format!("unknown option {name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use clap::FromArgMatches;

    use super::*;

    fn message(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let message = Config::read(file.path()).unwrap_err().to_string();
        message.replace(&file.path().display().to_string(), "FILE")
    }

    fn from_command_line(line: &[&str]) -> Options {
        let command =
            arguments().no_binary_name(true).mut_args(|argument| argument.env(None::<&str>));
        Options::from_arg_matches(&command.get_matches_from(line)).unwrap()
    }

    #[test]
    fn every_option_has_an_environment_variable_and_a_name_in_the_file() {
        let arguments = arguments();
        assert!(arguments.get_arguments().count() > 20);
        for argument in arguments.get_arguments() {
            let name = argument.get_id().as_str();
            assert_eq!(argument.get_long().unwrap().replace('-', "_"), name);
            let variable = argument.get_env().map(|name| name.to_str().unwrap());
            assert!(variable.is_some_and(|name| name == name.to_uppercase()), "{name}");
            // No option has a table as its value: the error is about the value, not the name.
            let message = message(&format!("{name} = {{}}"));
            assert!(message.starts_with(&format!("FILE, line 1: {name}: ")), "{message}");
            assert!(!message.contains("unknown"), "{message}");
        }
    }

    #[test]
    fn values_come_as_toml_writes_them() {
        let text = "# comment\nlisten = [\"[::1]:80\", \"unix:/run/x\"]\nlisten_mode = \"0600\"\npath = [\"/a\", \"/b\"]\nack = \"synced\"\n\
                    write_retry_timeout = 0.5\ndedup_window = 0\nmetrics_auth = true\nutc = true\nheader = ['Authorization: Basic abc=']\n";
        let Ok(options) = parse(text) else { panic!("it was not understood") };
        let listen: Vec<_> = options.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["[::1]:80", "unix:/run/x"]);
        assert_eq!(options.listen_mode.unwrap().0, 0o600);
        assert_eq!(options.path, ["/a", "/b"]);
        assert_eq!(options.write_retry_timeout.unwrap().0.as_millis(), 500);
        assert!(options.dedup_window.unwrap().0.is_zero());
        assert_eq!(options.metrics_auth, Some(true));
        assert!(format!("{:?}", options.files).contains("utc: Some(true)"));
        assert_eq!(options.header, ["Authorization: Basic abc="]);
    }

    #[test]
    fn sizes_and_durations_are_numbers_or_strings_with_a_unit() {
        let text = "rotate_bytes = \"100M\"\nretention_days = \"36h\"\nretention_bytes = 5\n\
                    event_bytes_max = \"2MiB\"\nbody_timeout = \"500ms\"\nidle_timeout = 7\n";
        let Ok(options) = parse(text) else { panic!("it was not understood") };
        assert_eq!(options.event_bytes_max.unwrap().0, 2 << 20);
        assert_eq!(options.body_timeout.unwrap().0.as_millis(), 500);
        assert_eq!(options.idle_timeout.unwrap().0.as_secs(), 7);
        let files = format!("{:?}", options.files);
        for expected in ["Size(104857600)", "Days(129600s)", "Size(5)"] {
            assert!(files.contains(expected), "{expected}: {files}");
        }
        let told = message("utc = true\nrotate_bytes = \"10X\"");
        assert!(told.starts_with("FILE, line 2: rotate_bytes: \"10X\" is not a size"), "{told}");
    }

    #[test]
    fn an_option_that_was_renamed_keeps_its_earlier_name_too() {
        let Ok(options) = parse("patience = 7") else { panic!("it was not understood") };
        assert_eq!(options.write_retry_timeout.unwrap().0.as_secs(), 7);
        let told = message("patience = 7\nwrite_retry_timeout = 8");
        assert!(told.contains("duplicate field"), "{told}");
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest_one() {
        for (text, expected) in [
            (
                "utc = true\nlistn = 1\n",
                "line 2: unknown option \"listn\"; did you mean \"listen\"?",
            ),
            (
                "event-bytes-max = 1",
                "line 1: unknown option \"event-bytes-max\"; did you mean \"event_bytes_max\"?",
            ),
            ("\n\n[server]\nlisten = 1", "line 3: unknown option \"server\""),
            ("config = \"x\"", "line 1: unknown option \"config\""),
        ] {
            assert_eq!(message(text), format!("FILE, {expected}"));
        }
    }

    #[test]
    fn wrong_values_are_told_with_line_and_option_and_no_secret() {
        assert!(message("utc = true\nutc = true").starts_with("FILE, line 2: duplicate key"));
        assert!(message("listen = 1").starts_with("FILE, line 1: listen: invalid type: integer"));
        assert!(message("\nack = \"now\"").starts_with("FILE, line 2: ack: unknown variant"));
        assert!(
            message("utc = true\n\npatience = -1")
                .starts_with("FILE, line 3: patience: \"-1\" is not a duration")
        );
        assert!(message("utc =").starts_with("FILE, line 1: "));
        assert!(message("utc = true\n\ncompress = 1").starts_with("FILE, line 3: compress: "),);
        assert_eq!(
            message("header = \"X-Token: abc\""),
            "FILE, line 1: header: it must be a list of strings"
        );
        assert_eq!(message("header = [\n1]"), "FILE, line 2: header: it must be a list of strings");
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let Ok(file) = parse(
            "listen = \"127.0.0.1:1\"\nutc = true\npath = [\"/file\"]\nworkers = 3\nretention_days = 7\ncompress = \"gzip\"\ninbox_directory = \"/file\"",
        ) else {
            panic!("it was not understood");
        };
        let given = from_command_line(&[
            "--listen",
            "127.0.0.1:2",
            "--utc=false",
            "--path",
            "/line",
            "--compress",
            "zstd",
            "--inbox-directory",
            "none",
        ]);
        let options = given.or(file);
        assert_eq!(options.listen.len(), 1);
        assert_eq!(options.listen[0].to_string(), "127.0.0.1:2");
        let files = format!("{:?}", options.files);
        assert!(files.contains("utc: Some(false)"), "{files}");
        assert!(files.contains("retention_days: Some(Days(604800s))"), "{files}");
        assert!(files.contains("compress: Some(Zstd)"), "{files}");
        assert!(files.contains("inbox_directory: Some(None)"), "{files}");
        assert_eq!(options.path, ["/line"]);
        assert_eq!(options.workers, Some(3));
    }

    #[test]
    fn a_secret_that_others_may_read_is_noticed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let set = |text: &str, mode| {
            fs::write(file.path(), text).unwrap();
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            Config::read(file.path()).unwrap().is_exposed
        };
        let secret = "header = [\"X-Token: abc\"]";
        assert_eq!([0o600, 0o640, 0o604].map(|mode| set(secret, mode)), [false, true, true]);
        assert!(!set("utc = true", 0o644));
    }

    #[test]
    fn the_packaged_file_is_understood_and_names_the_directory_that_the_unit_makes() {
        let Ok(options) = parse(include_str!("../../packaging/cdrlog.toml")) else {
            panic!("it was not understood");
        };
        let directory = options.dir.unwrap();
        let unit = include_str!("../../packaging/cdrlog.service");
        let made = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
        assert_eq!(directory, std::path::Path::new("/var/lib").join(made));
        assert!(!unit.contains("/opt/"), "the unit names another directory");
        let made = unit.lines().find_map(|line| line.strip_prefix("RuntimeDirectory=")).unwrap();
        let files = format!("{:?}", options.files);
        let expected = format!("inbox_directory: Some(Directory(\"/run/{made}\"))");
        assert!(files.contains(&expected), "{files}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let message = Config::read("/no/such/file".as_ref()).unwrap_err().to_string();
        assert!(message.starts_with("cannot read /no/such/file: "), "{message}");
    }
}
