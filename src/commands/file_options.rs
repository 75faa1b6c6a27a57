//! Options for the files of a CDR directory, of every command that writes to one.

use std::time::Duration;

use cdrlog::{Builder, Compression};
use clap::{Args, ValueEnum};

const SECONDS_A_DAY: u64 = 86_400;

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FileOptions {
    /// Begin a new file before one gets longer than so many bytes; 0 is no limit
    #[arg(long, value_name = "BYTES", env = "CDRLOG_ROTATE_BYTES", default_value_t = 0)]
    rotate_bytes: u64,

    /// Compress finished files, in the background
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        env = "CDRLOG_COMPRESS",
        default_value_t = Compress::None
    )]
    compress: Compress,

    /// Remove files that nobody wrote to for so many days; 0 keeps them for ever
    #[arg(long, value_name = "DAYS", env = "CDRLOG_RETENTION_DAYS", default_value_t = 30)]
    retention_days: u32,

    /// Remove the oldest files while all together have more bytes; 0 is no limit
    #[arg(
        long,
        value_name = "BYTES",
        env = "CDRLOG_RETENTION_BYTES",
        default_value_t = 20_000_000_000
    )]
    retention_bytes: u64,

    /// Name files in UTC instead of local time
    #[arg(long)]
    utc: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compress {
    /// Not at all
    None,
    /// To .zst
    Zstd,
    /// To .gz, slower and larger than .zst
    Gzip,
}

impl FileOptions {
    pub(super) fn apply(&self, builder: Builder) -> Builder {
        let retention_age = Duration::from_secs(u64::from(self.retention_days) * SECONDS_A_DAY);
        let builder = builder
            .utc(self.utc)
            .retention_age(Some(retention_age).filter(|age| !age.is_zero()))
            .retention_bytes(Some(self.retention_bytes).filter(|&bytes| bytes > 0))
            .compression(match self.compress {
                Compress::None => Compression::None,
                Compress::Zstd => Compression::Zstd,
                Compress::Gzip => Compression::Gzip,
            });
        match self.rotate_bytes {
            0 => builder,
            bytes => builder.rotate_bytes(bytes),
        }
    }
}
