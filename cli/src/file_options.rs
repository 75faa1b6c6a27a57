//! Options for the files of a CDR directory, shared by the commands that write to one.

use cdrlog::{Builder, Compression};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::inbox_place::InboxOption;
use super::local_time::UtcOption;
use super::units::{Days, Size};

/// None has a default for clap, because `serve` looks into its file first. If an option is not
/// given, the default of the library applies. Options that other commands have too are read from
/// the same table of the file, but separately: flattened, an error in them would have no line.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default)]
#[command(
    next_help_heading = "Files",
    mut_arg("utc", |utc| utc.help("Name files in UTC instead of local time [default: false]"))
)]
pub(super) struct FileOptions {
    /// Start a new file before a file gets longer than this; 0 sets no limit [default: 0]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, env = "CDRLOG_ROTATE_BYTES")]
    rotate_bytes: Option<Size>,

    /// Compress sealed files, in the background [default: none]
    #[arg(long, value_enum, value_name = "HOW", env = "CDRLOG_COMPRESS")]
    compress: Option<Compress>,

    /// Remove files whose last write is longer ago than this; a number without a unit is days; 0
    /// keeps files for ever [default: 30d]
    #[arg(
        long,
        value_name = "DURATION",
        allow_negative_numbers = true,
        env = "CDRLOG_RETENTION_DAYS"
    )]
    retention_days: Option<Days>,

    /// Remove the oldest files while all files together are larger than this; 0 sets no limit
    /// [default: 20GB]
    #[arg(
        long,
        value_name = "SIZE",
        allow_negative_numbers = true,
        env = "CDRLOG_RETENTION_BYTES"
    )]
    retention_bytes: Option<Size>,

    /// Also compress and remove CDR files that cdrlog did not create in this directory [default:
    /// false]
    #[arg(
        long,
        value_name = "true|false",
        env = "CDRLOG_MANAGE_FOREIGN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    manage_foreign: Option<bool>,

    #[command(flatten)]
    #[serde(skip)]
    pub(super) utc: UtcOption,

    #[command(flatten)]
    #[serde(skip)]
    pub(super) inbox: InboxOption,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compress {
    /// No compression
    None,
    /// zstd, to .zst
    Zstd,
    /// gzip, to .gz, which is slower and gives larger files than zstd
    Gzip,
}

impl FileOptions {
    pub(super) fn apply(&self, mut builder: Builder) -> Builder {
        if let Some(Size(bytes)) = self.rotate_bytes.filter(|size| size.0 > 0) {
            builder = builder.rotate_bytes(bytes);
        }
        if let Some(compress) = self.compress {
            builder = builder.compression(match compress {
                Compress::None => Compression::None,
                Compress::Zstd => Compression::Zstd,
                Compress::Gzip => Compression::Gzip,
            });
        }
        if let Some(Days(age)) = self.retention_days {
            builder = builder.retention_age(Some(age).filter(|age| !age.is_zero()));
        }
        if let Some(Size(bytes)) = self.retention_bytes {
            builder = builder.retention_bytes(Some(bytes).filter(|&bytes| bytes > 0));
        }
        self.inbox
            .apply(builder)
            .manage_foreign(self.manage_foreign.unwrap_or_default())
            .utc(self.utc.is_utc())
    }

    /// What is wrong with the local time zone, if file names use it.
    pub(super) fn local_time_fault(&self) -> Option<String> {
        self.utc.fault()
    }

    /// These options, completed by those of `file`.
    #[cfg(feature = "serve")]
    pub(super) fn or(self, file: Self) -> Self {
        // Every field by name: if a new one is forgotten here, this does not compile.
        let Self {
            rotate_bytes,
            compress,
            retention_days,
            retention_bytes,
            manage_foreign,
            utc,
            inbox,
        } = self;
        Self {
            rotate_bytes: rotate_bytes.or(file.rotate_bytes),
            compress: compress.or(file.compress),
            retention_days: retention_days.or(file.retention_days),
            retention_bytes: retention_bytes.or(file.retention_bytes),
            manage_foreign: manage_foreign.or(file.manage_foreign),
            utc: utc.or(file.utc),
            inbox: inbox.or(file.inbox),
        }
    }
}
