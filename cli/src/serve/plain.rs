//! Plain HTTP at a port that speaks TLS: a client that was given `http` for `https` hears so.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BODY: &str = r#"{"error":"this port speaks TLS: use https"}"#;

/// What a client may go on to send before it has read the answer.
const DISCARD_BYTES_MAX: u64 = 64 << 10;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the first byte is one of a method of HTTP. Handshakes of TLS begin with another.
pub(super) async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let count = stream.peek(&mut first).await?;
    Ok(count > 0 && first[0].is_ascii_uppercase())
}

/// Answers with 400, in clear, and ends the connection.
pub(super) async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // A connection that is closed while its peer still sends loses the answer on its way.
    let mut rest = stream.take(DISCARD_BYTES_MAX);
    let mut sink = tokio::io::sink();
    let discard = tokio::io::copy(&mut rest, &mut sink);
    tokio::time::timeout(DISCARD_TIMEOUT, discard).await.map_or(Ok(()), |copied| copied.map(|_| ()))
}
