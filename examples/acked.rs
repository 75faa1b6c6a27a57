//! Tokio tasks share one handle, and each waits until its event survives a power loss.
//!
//!     cargo run --example acked -- ./cdr

use std::error::Error;

use cdrlog::{AckError, Appender, Bytes, Durability, SharedProducer};

/// What a handler of a web server does with a body.
async fn take(cdr: SharedProducer, body: String) -> Result<String, Box<dyn Error + Send + Sync>> {
    // Waits while the queue is full, without blocking the thread. An error gives the body back: the
    // appender is closed.
    let ack = cdr.send_acked_async(Bytes::from(body), Durability::Synced).await?;
    match ack.await {
        Ok(position) => Ok(format!("synced, {} bytes", position.line_bytes)),
        // It is not an event, and is in the rejects file: sending it again would not help.
        Err(AckError::Rejected(rejection)) => Ok(format!("rejected: {rejection}")),
        // It may be in the file or not: the sender gets an error and sends it again.
        Err(failure) => Err(failure.into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let directory = std::env::args().nth(1).ok_or("give me a directory")?;
    let appender = Appender::builder(directory).open()?;
    let cdr = appender.shared_producer();
    let tasks: Vec<_> = (0..3)
        .map(|number| {
            let body = match number {
                2 => r#"{"timestamp":2}"#.to_owned(),
                _ => format!(r#"{{"event":"participantJoined","timestamp":{number}}}"#),
            };
            tokio::spawn(take(cdr.clone(), body))
        })
        .collect();
    for task in tasks {
        println!("{}", task.await??);
    }
    // The close waits for the disk.
    tokio::task::spawn_blocking(|| appender.close()).await??;
    Ok(())
}
