//! Is notified of problems: here another program removes the file that is being written.
//!
//!     cargo run --example notice -- ./cdr

use std::error::Error;

use cdrlog::{Appender, Notice};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("give me a directory")?;
    let (tell, told) = std::sync::mpsc::channel();
    let appender = Appender::builder(directory)
        .on_notice(move |notice| {
            // On the flusher thread: pass it on and return. The receiver may be gone.
            let _ = tell.send(notice.clone());
        })
        .open()?;
    let producer = appender.producer();
    producer.send_slice(br#"{"event":"sessionCreated","timestamp":1}"#)?;
    // An error here is a failing disk. The event is in the journal, and the write is retried.
    appender.flush()?;

    std::fs::remove_file(appender.cdr_path())?;
    producer.send_slice(br#"{"event":"sessionDestroyed","timestamp":2}"#)?;
    appender.flush()?;

    let stats = appender.close()?;
    // There are no notices after a close.
    for notice in told.try_iter() {
        match notice {
            Notice::WritesFail(_) => println!("wake somebody: {notice}"),
            _ => println!("note: {notice}"),
        }
    }
    println!("changed by others: {}", stats.files_changed_by_others);
    Ok(())
}
