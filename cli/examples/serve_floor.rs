//! What `cdrlog serve` is measured against: an axum handler that reads the body and answers 200.
//!
//! `cli/scripts/bench-serve.sh` runs it. The first argument is the address, the second the number of
//! threads.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8788".to_owned());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = arguments.next() {
        builder.worker_threads(threads.parse()?);
    }
    builder.enable_all().build()?.block_on(async {
        let router = Router::new().route("/", post(|_body: Bytes| async {}));
        let listener = tokio::net::TcpListener::bind(address).await?;
        Ok(axum::serve(listener, router).await?)
    })
}
