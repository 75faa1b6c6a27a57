//! Which path does what.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    SET_COOKIE,
};
use hyper::{Method, Request, StatusCode, Version};
use serde_json::json;

use super::super::auth::Denied;
use super::super::peer_limits::Exceeded;
use super::super::refusals::{Reason, Refusal, Refusals};
use super::access::{Access, Token, Unwelcome};
use super::assets::{self, Asset, answer};
use super::body::{Content, Progress, Response};
use super::hub::{Full, Hub};
use super::past::{NoAnswer, Past};
use super::record::now_ms;
use super::timeline::Wanted;

/// The form has a password and a token.
const FORM_BYTES_MAX: usize = 4096;

/// A longer text is not looked for.
const QUERY_BYTES_MAX: usize = 256;

/// A day has up to 25 hours. The events of a room may be of more days.
const DAY_MS_MAX: i64 = 26 * 3_600_000;
const TIMELINE_MS_MAX: i64 = 8 * 24 * 3_600_000;

/// How often a request that is still being answered counts as progress.
const AT_WORK_INTERVAL: Duration = Duration::from_secs(5);

const JSON: &str = "application/json";

/// What all requests share.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) access: Access,
    pub(super) hub: Arc<Hub>,
    pub(super) past: Past,
    pub(super) refusals: Refusals,
}

impl Page {
    /// Answers a request.
    pub(super) async fn respond(
        &self,
        request: Request<Incoming>,
        address: SocketAddr,
        progress: &Arc<Progress>,
    ) -> Response {
        progress.note();
        let path = request.uri().path().to_owned();
        let mut response = {
            let answering = self.route(request, address);
            let mut answering = std::pin::pin!(answering);
            loop {
                tokio::select! {
                    response = &mut answering => break response,
                    () = tokio::time::sleep(AT_WORK_INTERVAL) => progress.note(),
                }
            }
        };
        if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
            self.refusals.note(refusal, Some(response.status()), address, Some(&path));
        }
        response.body_mut().watch(progress.clone());
        response
    }

    async fn route(&self, request: Request<Incoming>, address: SocketAddr) -> Response {
        let (method, path, headers) = (request.method(), request.uri().path(), request.headers());
        if request.version() == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
            let refusal = Refusal::new(Reason::NoHost, "a request of HTTP/1.1 has one header Host");
            return refuse(StatusCode::BAD_REQUEST, refusal);
        }
        if let Err(refusal) = self.access.check_site(request.uri(), headers) {
            return refuse(StatusCode::FORBIDDEN, refusal);
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match path {
            "/login" if self.access.has_passwords() => return self.login(request, address).await,
            "/logout" if method == Method::POST => return self.log_out(headers),
            _ => {}
        }
        let asset = Asset::of_path(path);
        let is_public = asset.is_some_and(|asset| asset.is_public);
        if !is_public && let Err(unwelcome) = self.access.check(headers, address.ip()) {
            return self.turn_away(unwelcome, path);
        }
        if !is_read {
            return not_allowed("GET, HEAD");
        }
        let is_head = method == Method::HEAD;
        let mut response = match asset {
            Some(asset) => asset.response(),
            None => self.answer(path, request.uri().query().unwrap_or_default(), is_head).await,
        };
        if is_head {
            *response.body_mut() = Content::bytes(Bytes::new());
        }
        response
    }

    async fn answer(&self, path: &str, query: &str, is_head: bool) -> Response {
        let query = Query(query);
        match path {
            "/live" if is_head => answer(StatusCode::OK, "text/event-stream", ""),
            "/live" => self.live(),
            "/api/day" => match query.span(DAY_MS_MAX) {
                Some(span) => self.read(self.past.day(span)).await,
                None => wrong_query(),
            },
            "/api/rooms" => match (query.span(DAY_MS_MAX), query.text("q")) {
                (Some(span), Some(text)) => self.read(self.past.rooms(span, &text)).await,
                _ => wrong_query(),
            },
            "/api/room" => {
                let names = (query.text("name"), query.text("unique"));
                match (query.span(TIMELINE_MS_MAX), names) {
                    (Some(span), (Some(name), Some(unique))) => {
                        let wanted = Wanted::new(name, unique);
                        if wanted.is_empty() {
                            return wrong_query();
                        }
                        self.read(self.past.timeline(span, wanted)).await
                    }
                    _ => wrong_query(),
                }
            }
            _ => error(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }

    fn live(&self) -> Response {
        match self.hub.join(now_ms()) {
            Ok(messages) => {
                let mut response = assets::secure(Response::new(Content::live(messages)));
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                // nginx collects answers otherwise.
                let buffering = HeaderName::from_static("x-accel-buffering");
                headers.insert(buffering, HeaderValue::from_static("no"));
                response
            }
            Err(Full::TooMany) => unavailable("too many look at the page"),
            Err(Full::Ending) => unavailable("the page ends"),
        }
    }

    async fn read(&self, reading: impl Future<Output = Result<String, NoAnswer>>) -> Response {
        match reading.await {
            Ok(json) => answer(StatusCode::OK, JSON, json),
            Err(NoAnswer::Busy) => unavailable("too many ask for past days; try again"),
            Err(NoAnswer::Unreadable(reason)) => {
                tracing::warn!(reason, "the page cannot read the record");
                error(StatusCode::INTERNAL_SERVER_ERROR, "the record cannot be read: see the log")
            }
        }
    }

    /// People get the form, and programs are told.
    fn turn_away(&self, unwelcome: Unwelcome, path: &str) -> Response {
        match unwelcome {
            Unwelcome::Denied(Denied::Missing) if path == "/" && self.access.has_passwords() => {
                see_other("login")
            }
            Unwelcome::Denied(denied) => refuse(StatusCode::UNAUTHORIZED, denied.refusal()),
            Unwelcome::Exceeded(exceeded) => too_many(exceeded),
        }
    }

    async fn login(&self, request: Request<Incoming>, address: SocketAddr) -> Response {
        match *request.method() {
            Method::GET => return self.form(StatusCode::OK, ""),
            Method::HEAD => return answer(StatusCode::OK, "text/html; charset=utf-8", ""),
            Method::POST => {}
            _ => return not_allowed("GET, HEAD, POST"),
        }
        let (head, body) = request.into_parts();
        let is_cross_site =
            head.headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
        let body = Limited::new(body, FORM_BYTES_MAX).collect();
        let body = match tokio::time::timeout(AT_WORK_INTERVAL, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => return error(StatusCode::BAD_REQUEST, "the form did not arrive"),
        };
        let form = str::from_utf8(&body).unwrap_or_default();
        let form = Query(form);
        let token = form.text("token").unwrap_or_default();
        if is_cross_site || !self.access.is_own_form(&head.headers, &token) {
            let detail = "the form does not come from this page, or is too old";
            let refusal = Refusal::new(Reason::ForeignOrigin, detail);
            return mark(
                refusal,
                self.form(StatusCode::FORBIDDEN, "This form was too old. Please try again."),
            );
        }
        let password = form.text("password").unwrap_or_default();
        match self.access.log_in(password.as_bytes(), address.ip()) {
            Ok(token) => {
                tracing::info!(peer = %address.ip(), "logged in at the page");
                let mut response = see_other("./");
                set_cookie(&mut response, &self.access.set_session(&token));
                response
            }
            Err(Unwelcome::Denied(denied)) => mark(
                denied.refusal(),
                self.form(StatusCode::UNAUTHORIZED, "This password is wrong."),
            ),
            Err(Unwelcome::Exceeded(exceeded)) => too_many(exceeded),
        }
    }

    fn form(&self, status: StatusCode, message: &'static str) -> Response {
        let token = Token::random();
        let mut response = assets::login(status, token.as_str(), message);
        set_cookie(&mut response, &self.access.set_form(&token));
        response
    }

    /// A page of another site cannot: the browser does not send it the cookie, and the origin is
    /// checked.
    fn log_out(&self, headers: &HeaderMap) -> Response {
        self.access.log_out(headers);
        let mut response = see_other("login");
        set_cookie(&mut response, &self.access.end_session());
        response
    }
}

/// `name=value&…`, of an address or a form.
struct Query<'a>(&'a str);

impl Query<'_> {
    /// The decoded value; empty if the name does not occur. `None` if it is too long or not text.
    fn text(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        decode(value).filter(|text| text.len() <= QUERY_BYTES_MAX)
    }

    /// The span from `from` to `until`, not longer than `ms_max`.
    fn span(&self, ms_max: i64) -> Option<Range<i64>> {
        let time = |name| self.text(name)?.parse::<i64>().ok();
        let span = time("from")?..time("until")?;
        let is_valid = span.start >= 0
            && span.start < span.end
            && span.end.checked_sub(span.start)? <= ms_max
            && jiff::Timestamp::from_millisecond(span.end).is_ok();
        is_valid.then_some(span)
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn set_cookie(response: &mut Response, cookie: &str) {
    // Of our own letters and digits.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Relative, so that a proxy may show the page below another path.
fn see_other(place: &'static str) -> Response {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain", "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(place));
    response
}

fn error(status: StatusCode, message: &str) -> Response {
    answer(status, JSON, json!({ "error": message }).to_string())
}

fn wrong_query() -> Response {
    error(StatusCode::BAD_REQUEST, "the query of the address is not one that the page sends")
}

fn unavailable(message: &str) -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, message);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

fn not_allowed(methods: &'static str) -> Response {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn refuse(status: StatusCode, refusal: Refusal) -> Response {
    let response = error(status, refusal.detail());
    mark(refusal, response)
}

/// The same answer, marked as a refusal, for the log.
fn mark(refusal: Refusal, mut response: Response) -> Response {
    response.extensions_mut().insert(refusal);
    response
}

fn too_many(exceeded: Exceeded) -> Response {
    let (refusal, wait) = (exceeded.refusal(), exceeded.wait_seconds());
    let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, refusal);
    response.headers_mut().insert(RETRY_AFTER, wait.into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_as_browsers_encode_it_and_nothing_else_is_one() {
        let query = Query("q=a+b%20%C3%A9%26&from=1&until=2");
        assert_eq!(query.text("q").unwrap(), "a b é&");
        assert_eq!(query.text("missing").unwrap(), "");
        assert_eq!(query.span(10), Some(1..2));
        for wrong in ["q=%", "q=%4", "q=%+1", "q=%ff"] {
            assert_eq!(Query(wrong).text("q"), None, "{wrong}");
        }
        assert_eq!(Query(&format!("q={}", "x".repeat(257))).text("q"), None);
        for wrong in [
            "",
            "from=1",
            "from=2&until=2",
            "from=1&until=12",
            "from=-1&until=2",
            "from=a&until=b",
            "from=9223372036854775806&until=9223372036854775807",
        ] {
            assert_eq!(Query(wrong).span(10), None, "{wrong}");
        }
    }
}
