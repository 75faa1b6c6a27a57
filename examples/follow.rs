//! Counts the lines of a CDR directory, and new ones, until there were none for a second. It saves
//! its position: the next run starts there.
//!
//!     cargo run --example follow --features reader -- ./cdr position.json

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use cdrlog::Reader;

const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("give me a directory")?;
    let position_path = arguments.next().ok_or("give me a file to keep the position in")?;
    let position_path = Path::new(&position_path);

    let mut builder = Reader::builder(directory).follow(true);
    match std::fs::read(position_path) {
        Ok(position) => builder = builder.begin_at(serde_json::from_slice(&position)?),
        // The first run.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let mut reader = builder.open()?;
    let (mut lines, mut bytes) = (0_u64, 0);
    let mut last = Instant::now();
    while last.elapsed() < PATIENCE {
        // A line that cannot be read is an error once; the next call continues after it.
        while let Some(line) = reader.next_line()? {
            // `line.event()?` would give name, time, session and all members.
            lines += 1;
            bytes += line.bytes_with_end().len();
            last = Instant::now();
        }
        // Returns as soon as there may be more.
        reader.wait(PATIENCE);
    }
    println!("{lines} lines, {bytes} bytes");
    if let Some(position) = reader.position() {
        // To another file first: a crash in the middle leaves the old position, and lines that were
        // counted are counted again.
        let new_path = position_path.with_extension("new");
        std::fs::write(&new_path, serde_json::to_vec(&position)?)?;
        std::fs::rename(new_path, position_path)?;
    }
    Ok(())
}
