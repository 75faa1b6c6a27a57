//! Plain HTTP on a port that speaks TLS: a client that was given `http` instead of `https` is told
//! so.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BODY: &str = r#"{"error":"this port speaks TLS: use https"}"#;

/// How much a client may still send before it has read the answer.
const DISCARD_BYTES_MAX: u64 = 64 << 10;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the first byte is that of an HTTP method. TLS handshakes begin with another.
pub(super) async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let count = stream.peek(&mut first).await?;
    Ok(count > 0 && first[0].is_ascii_uppercase())
}

/// Answers with 400, unencrypted, and closes the connection.
pub(super) async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // If a connection is closed while its peer still sends, the answer is lost on its way.
    let mut rest = stream.take(DISCARD_BYTES_MAX);
    let mut sink = tokio::io::sink();
    let discard = tokio::io::copy(&mut rest, &mut sink);
    tokio::time::timeout(DISCARD_TIMEOUT, discard).await.map_or(Ok(()), |copied| copied.map(|_| ()))
}
