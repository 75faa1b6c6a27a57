//! Which path does what.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode, Version, header};

use super::conn_context::ConnContext;
use super::conn_state::InFlight;
use super::metrics::{self, Sample};
use super::refusals::{Reason, Refusal};
use super::response::{self, Response};
use super::server_context::ServerContext;
use super::{body, downloads, intake};

const LIST: &str = "/openvidu/cdr";

/// Whether everything is shipped that can be.
const SHIP_HEALTH: &str = "/healthz/ship";

/// How long the rest of a request may take once it was refused because of its head.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers a request. An error resets its stream, and nothing was done; only HTTP/2 has streams.
pub(super) async fn respond(
    conn: Arc<ConnContext>,
    request: Request<Incoming>,
) -> Result<Response, h2::Error> {
    let in_flight = conn.state().begin_request(request.version() == Version::HTTP_2);
    if is_refused(&conn, &in_flight, &request) {
        // The peer may send it again, which other answers do not say.
        return Err(h2::Reason::REFUSED_STREAM.into());
    }
    let takes_events = request.method() == Method::POST
        && conn.settings().paths.iter().any(|path| path == request.uri().path());
    let uri = request.uri().clone();
    let site = conn.shared().gate.check_site(&uri, request.headers());
    let limited = conn.admit_request(body_bytes(&conn, &request));
    let mut response = if let Err(exceeded) = limited {
        intake::discard_of_stranger(&conn, request);
        exceeded.refuse()
    } else if names_no_host(&request) {
        body::discard(request, REFUSED_TIMEOUT);
        let response = response::one_host();
        Refusal::new(Reason::NoHost, "the request names no host, or more than one").mark(response)
    } else if let Err(refusal) = site {
        refuse_site(&conn, refusal, request)
    } else if takes_events {
        intake::post(&conn, request).await
    } else {
        // Rare and large: it must not make every event's future as large.
        Box::pin(others(&conn, request)).await
    };
    conn.metrics().count_request(response.status());
    if let Some(refusal) = Refusal::of(&response).cloned() {
        let (status, path) = (Some(response.status()), Some(uri.path()));
        conn.shared().note_refusal(refusal, status, conn.address(), path);
    }
    tracing::debug!(status = response.status().as_u16(), "request");
    if conn.state().is_last_request() && !conn.state().is_multiplexed() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.body_mut().keep(in_flight);
    Ok(response)
}

/// The body is read like one without credentials: it is discarded, and soon enough.
fn refuse_site(conn: &ConnContext, refusal: Refusal, request: Request<Incoming>) -> Response {
    intake::discard_of_stranger(conn, request);
    let response = response::error(StatusCode::FORBIDDEN, refusal.detail());
    refusal.mark(response)
}

/// Whether the connection has as many requests as it may have without credentials, and the headers
/// of this one alone prove none.
fn is_refused(conn: &ConnContext, in_flight: &InFlight, request: &Request<Incoming>) -> bool {
    let has_credentials = || {
        let checked = conn.check_headers(request.headers());
        checked.is_ok_and(|check| check.is_none_or(|check| check.is_verified()))
    };
    in_flight.is_one_too_many() && !has_credentials()
}

/// The bytes of a body that announces its length, as far as they are read. Those of other bodies
/// are counted as they arrive.
fn body_bytes(conn: &ConnContext, request: &Request<Incoming>) -> u64 {
    let bytes_max = conn.settings().event_bytes_max as u64;
    request.body().size_hint().exact().unwrap_or_default().min(bytes_max)
}

/// RFC 9112, section 3.2.
fn names_no_host(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11
        && request.headers().get_all(header::HOST).iter().count() != 1
}

async fn others(conn: &ConnContext, request: Request<Incoming>) -> Response {
    let shared = conn.shared();
    let (method, path) = (request.method(), request.uri().path());
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let name = path.strip_prefix(LIST).map(|rest| rest.strip_prefix('/').unwrap_or(rest));
    let is_list = path == LIST || is_below_list(path);
    let is_known = matches!(path, "/healthz" | SHIP_HEALTH | "/metrics") || is_list;
    let needs_credentials = is_list || path == "/metrics" && shared.settings.metrics_auth;
    if needs_credentials && is_read {
        match conn.check(request.headers()) {
            Ok(()) => conn.state().note_credentials(),
            Err(unwelcome) => return conn.refuse(unwelcome),
        }
    }
    match (path, name) {
        _ if !is_read && is_known => lost(method, response::not_allowed("GET, HEAD")),
        ("/healthz", _) => health(shared),
        (SHIP_HEALTH, _) => ship_health(shared),
        ("/metrics", _) => render_metrics(shared),
        (LIST, _) | (_, Some("")) => {
            downloads::list(&shared.settings.directory, request.headers()).await
        }
        (_, Some(name)) if is_below_list(path) => {
            downloads::file(&shared.settings.directory, name, method, request.headers()).await
        }
        _ if shared.settings.paths.iter().any(|known| known == path) => {
            lost(method, response::not_allowed("POST"))
        }
        _ => lost(method, response::error(StatusCode::NOT_FOUND, "there is nothing at this path")),
    }
}

/// Marks what may have been an event: whoever only looks around sends no body.
fn lost(method: &Method, response: Response) -> Response {
    let (reason, detail) = match response.status() {
        _ if !matches!(*method, Method::POST | Method::PUT) => return response,
        StatusCode::NOT_FOUND => {
            (Reason::UnknownPath, "events are not taken at this path: see --path")
        }
        _ => (Reason::WrongMethod, "events are taken by POST, at the paths of --path"),
    };
    Refusal::new(reason, detail).mark(response)
}

fn is_below_list(path: &str) -> bool {
    path.strip_prefix(LIST).is_some_and(|rest| rest.starts_with('/'))
}

/// 200 only while events can be written.
fn health(shared: &ServerContext) -> Response {
    match shared.failure() {
        None => response::text(StatusCode::OK, response::JSON, r#"{"status":"ok"}"#.to_owned()),
        Some(failure) => response::unavailable(&failure),
    }
}

/// 200 unless the shipping of a stream has stopped. Not a part of `/healthz`: events can be taken
/// meanwhile, and whoever sends none to a server that does not ship loses them.
#[cfg(feature = "ship")]
fn ship_health(shared: &ServerContext) -> Response {
    let stopped = crate::ship::shipped(&shared.settings.directory).into_iter().find_map(|it| {
        let fault = it.stopped?;
        Some(format!("the {} do not go to {} any more: {fault}", it.stream, it.destination))
    });
    match stopped {
        None => response::text(StatusCode::OK, response::JSON, r#"{"status":"ok"}"#.to_owned()),
        Some(fault) => response::unavailable(&fault),
    }
}

#[cfg(not(feature = "ship"))]
fn ship_health(_: &ServerContext) -> Response {
    response::error(StatusCode::NOT_FOUND, "this program was built without the feature ship")
}

fn render_metrics(shared: &ServerContext) -> Response {
    let sample = Sample {
        stats: shared.appender.stats(),
        connections: shared.connections.count() as u64,
        repeated: shared.repeated(),
        sender_dropped: shared.gaps.dropped(),
        bodies_bytes: (shared.budget.bytes() + shared.unverified.bytes()) as u64,
        is_healthy: shared.failure().is_none(),
    };
    match shared.metrics.render(sample) {
        Ok(text) => response::text(StatusCode::OK, metrics::CONTENT_TYPE, text),
        Err(_) => response::error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be made"),
    }
}
