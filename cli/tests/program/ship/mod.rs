//! `ship`: each line of the local record once, and in its order, at the destination.
//!
//! What is there is always compared line by line with the local files. What needs real servers is
//! built with all three features: the servers and the proxy between share their code.

pub mod archive;
mod directory;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod jetstream;
mod kills;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod memory;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod nats;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod nats_login;
mod options;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod page;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod postgres;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod postgres_setup;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod proxies;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod proxy;
pub mod reading;
mod redaction;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod s3;
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
mod servers;
mod troubles;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{body, files};
use crate::run::{append, cdrlog, run_with};

/// `cdrlog ship` of a directory to a destination.
pub fn ship(directory: &Path, to: &str) -> Command {
    let mut command = cdrlog();
    for name in ["SHIP_TO", "BLOCK_AGE", "KEEP_AFTER_SHIP", "NODE"] {
        command.env_remove(format!("CDRLOG_{name}"));
    }
    command.arg("ship").arg("--dir").arg(directory).args(["--to", to]);
    command
}

/// Appends the events `numbers`, in files of about `rotate_bytes`.
pub fn append_events(directory: &Path, numbers: std::ops::Range<u64>, rotate_bytes: &str) {
    let bodies: String = numbers.map(|number| body(number) + "\n").collect();
    let mut command = append(directory);
    command.args(["--rotate-bytes", rotate_bytes, "--sync", "always"]);
    run_with(&mut command, bodies.as_bytes()).expect(0, &[]);
}

/// The local record, from compressed files too.
pub fn record(directory: &Path, prefix: &str) -> Vec<u8> {
    let mut record = Vec::new();
    for path in files(directory, prefix) {
        let bytes = fs::read(&path).unwrap();
        match path.extension().is_some_and(|extension| extension == "zst") {
            true => record.extend(zstd::decode_all(bytes.as_slice()).unwrap()),
            false => record.extend(bytes),
        }
    }
    record
}
