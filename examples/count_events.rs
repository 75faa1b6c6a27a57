//! Counts the lines of a CDR directory, and where it stands: the next run counts only what is new.
//!
//!     cargo run --release --example count_events -- ./cdr position.json

use std::error::Error;
use std::time::Instant;

use cdrlog::Reader;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("give me a directory")?;
    let position_path = arguments.next();

    let mut builder = Reader::builder(directory);
    if let Some(path) = &position_path
        && let Ok(text) = std::fs::read(path)
    {
        builder = builder.begin_at(serde_json::from_slice(&text)?);
    }
    let mut reader = builder.open()?;
    let begin = Instant::now();
    let (mut lines, mut bytes) = (0_u64, 0);
    // `line.event()?` would give name, time, session and all members.
    while let Some(line) = reader.next_line()? {
        // Half a line at the end is still being written; the position is before it.
        if line.is_whole() {
            lines += 1;
            bytes += line.bytes_with_end().len();
        }
    }
    println!("{lines} lines, {bytes} bytes in {:?}", begin.elapsed());
    if let (Some(path), Some(position)) = (position_path, reader.position()) {
        std::fs::write(path, serde_json::to_vec(&position)?)?;
    }
    Ok(())
}
