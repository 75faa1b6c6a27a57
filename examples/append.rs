//! Appends a few events to the CDR of a directory, and says what became of them.
//!
//!     cargo run --example append -- ./cdr

use std::error::Error;

use cdrlog::Appender;

const BODIES: [&str; 3] = [
    r#"{"event":"sessionCreated","timestamp":1538481330577,"sessionId":"s1"}"#,
    r#"{"event":"sessionDestroyed","timestamp":1538481344921,"sessionId":"s1","duration":14}"#,
    r#"{"timestamp":1538481344922}"#,
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("give me a directory")?;
    // Fails if another appender has the directory, or a file in it is damaged.
    let appender = Appender::builder(directory).open()?;
    let producer = appender.producer();
    for body in BODIES {
        // Fails only if the appender is closed, and gives the event back. A full disk is waited
        // for.
        producer.send_slice(body.as_bytes())?;
    }
    let (cdr, rejects) = (appender.cdr_path(), appender.rejects_path());
    // Without this, dropping the appender writes and syncs all the same, but an error is lost.
    match appender.close() {
        Ok(stats) => {
            println!("{} lines in {}", stats.events_journaled, cdr.display());
            println!("{} rejected, kept in {}", stats.events_rejected, rejects.display());
            Ok(())
        }
        // What could be neither written nor journaled is given back.
        Err(error) => Err(format!("{error}; {} events came back", error.events().len()).into()),
    }
}
