//! Options for the files of a CDR directory, of every command that writes to one.

use std::time::Duration;

use cdrlog::{Builder, Compression};
use clap::{Args, ValueEnum};
use serde::Deserialize;

const SECONDS_A_DAY: u64 = 86_400;

/// None has a default for clap: `serve` looks into its file before it takes one. Where an option is
/// not given, the default of the library holds.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "Files")]
pub(super) struct FileOptions {
    /// Begin a new file before one gets longer than so many bytes; 0 is no limit [default: 0]
    #[arg(long, value_name = "BYTES", env = "CDRLOG_ROTATE_BYTES")]
    rotate_bytes: Option<u64>,

    /// Compress finished files, in the background [default: none]
    #[arg(long, value_enum, value_name = "HOW", env = "CDRLOG_COMPRESS")]
    compress: Option<Compress>,

    /// Remove files that nobody wrote to for so many days; 0 keeps them for ever [default: 30]
    #[arg(long, value_name = "DAYS", env = "CDRLOG_RETENTION_DAYS")]
    retention_days: Option<u32>,

    /// Remove the oldest files while all together have more bytes; 0 is no limit [default:
    /// 20000000000]
    #[arg(long, value_name = "BYTES", env = "CDRLOG_RETENTION_BYTES")]
    retention_bytes: Option<u64>,

    /// Name files in UTC instead of local time
    #[arg(
        long,
        value_name = "true|false",
        env = "CDRLOG_UTC",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    utc: Option<bool>,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compress {
    /// Not at all
    None,
    /// To .zst
    Zstd,
    /// To .gz, slower and larger than .zst
    Gzip,
}

impl FileOptions {
    pub(super) fn apply(&self, mut builder: Builder) -> Builder {
        if let Some(bytes) = self.rotate_bytes.filter(|&bytes| bytes > 0) {
            builder = builder.rotate_bytes(bytes);
        }
        if let Some(compress) = self.compress {
            builder = builder.compression(match compress {
                Compress::None => Compression::None,
                Compress::Zstd => Compression::Zstd,
                Compress::Gzip => Compression::Gzip,
            });
        }
        if let Some(days) = self.retention_days {
            let age = Duration::from_secs(u64::from(days) * SECONDS_A_DAY);
            builder = builder.retention_age(Some(age).filter(|age| !age.is_zero()));
        }
        if let Some(bytes) = self.retention_bytes {
            builder = builder.retention_bytes(Some(bytes).filter(|&bytes| bytes > 0));
        }
        builder.utc(self.utc.unwrap_or_default())
    }

    /// These options, and those of `file` where one is not given.
    #[cfg(feature = "serve")]
    pub(super) fn or(self, file: Self) -> Self {
        // Every field by name: a new one that is forgotten here does not compile.
        let Self { rotate_bytes, compress, retention_days, retention_bytes, utc } = self;
        Self {
            rotate_bytes: rotate_bytes.or(file.rotate_bytes),
            compress: compress.or(file.compress),
            retention_days: retention_days.or(file.retention_days),
            retention_bytes: retention_bytes.or(file.retention_bytes),
            utc: utc.or(file.utc),
        }
    }
}
