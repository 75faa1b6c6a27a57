//! `GET /openvidu/cdr` and `GET /openvidu/cdr/<file>`, as OpenVidu's own server offers them.
//!
//! A name is never decoded and never put together from parts: it must be one that the files of a
//! CDR have, byte for byte, or there is no such file.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cdrlog::reader::{FileKind, cdr_files};
use httpdate::HttpDate;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use rustix::fs::OFlags;
use serde_json::json;

use super::response::{self, Content, FilePart, Response};

/// HTTP tells times in whole seconds: a file that was written just now may change while its time
/// stays the same.
const SETTLED_AGE: Duration = Duration::from_secs(2);

/// The list of all CDR files: a JSON array of their names, as OpenVidu gives it, or a page if a
/// browser asks.
pub(super) async fn list(directory: &Path, headers: &HeaderMap) -> Response {
    let directory = directory.to_owned();
    let wants_page = accepts_html(headers);
    let names = tokio::task::spawn_blocking(move || cdr_names(&directory)).await;
    match names.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
        Ok(names) if wants_page => {
            response::text(StatusCode::OK, "text/html; charset=utf-8", page(&names))
        }
        Ok(names) => response::text(StatusCode::OK, response::JSON, json!(names).to_string()),
        Err(error) => unreadable(&error),
    }
}

fn cdr_names(directory: &Path) -> io::Result<Vec<String>> {
    let files = cdr_files(directory).map_err(io::Error::other)?;
    let cdr = files.into_iter().filter(|file| file.kind == FileKind::Cdr);
    // A symbolic link is never served: see `open`.
    let own = cdr.filter(|file| !file.path.is_symlink());
    Ok(own.filter_map(|file| Some(file.path.file_name()?.to_str()?.to_owned())).collect())
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The names contain nothing that HTML gives a meaning to.
fn page(names: &[String]) -> String {
    let items: String = names
        .iter()
        .map(|name| format!("<li><a href=\"/openvidu/cdr/{name}\">{name}</a></li>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>CDR</title></head>\n\
         <body>\n<h1>CDR</h1>\n<ul>\n{items}</ul>\n</body>\n</html>\n"
    )
}

/// One file, or the requested part of it, unless the peer has it already.
///
/// The file service of `tower-http` would do all of this, but it opens the file itself: it follows
/// symbolic links, and waits if somebody has put a pipe there. `headers`, which knows the
/// conditions, brings second versions of five crates.
pub(super) async fn file(
    directory: &Path,
    name: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    if FileKind::of_name(name).is_none() {
        return no_such_file();
    }
    let path = directory.join(name);
    let opened = tokio::task::spawn_blocking(move || open(&path)).await;
    let (file, metadata) = match opened.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
        Ok(Some(opened)) => opened,
        Ok(None) => return no_such_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return no_such_file(),
        Err(error) => return unreadable(&error),
    };
    let version = Version::of(&metadata);
    let bytes = metadata.len();
    let mut response = match version.wanted(headers) {
        Wanted::Nothing => response::empty(StatusCode::NOT_MODIFIED),
        Wanted::Another => response::error(StatusCode::PRECONDITION_FAILED, "the file has changed"),
        Wanted::Whole => part(file, 0, bytes, StatusCode::OK),
        // The standard defines ranges for GET only.
        Wanted::Part if method != Method::GET => part(file, 0, bytes, StatusCode::OK),
        Wanted::Part => match range(headers, bytes) {
            Range::Whole => part(file, 0, bytes, StatusCode::OK),
            Range::Part(offset, end) => {
                let mut response = part(file, offset, end, StatusCode::PARTIAL_CONTENT);
                let last = end.saturating_sub(1);
                let text = format!("bytes {offset}-{last}/{bytes}");
                set_text(&mut response, header::CONTENT_RANGE, &text);
                response
            }
            Range::None => {
                let mut response =
                    response::error(StatusCode::RANGE_NOT_SATISFIABLE, "no such bytes");
                set_text(&mut response, header::CONTENT_RANGE, &format!("bytes */{bytes}"));
                return response;
            }
        },
    };
    version.put(&mut response);
    if response.status().is_success() {
        response::set(&mut response, header::CONTENT_TYPE, content_type(name));
        response::set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    }
    if method == Method::HEAD {
        *response.body_mut() = Content::bytes("");
    }
    response
}

/// `None` if it is not a regular file. A symbolic link is not followed: it may lead anywhere.
fn open(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    // Non-blocking, because somebody may have put a pipe there.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

fn part(file: File, offset: u64, end: u64, status: StatusCode) -> Response {
    let part = FilePart { file: Arc::new(file), offset, end, reading: None };
    let mut response = Response::new(Content::file(part));
    *response.status_mut() = status;
    response::set(&mut response, header::ACCEPT_RANGES, "bytes");
    set_text(&mut response, header::CONTENT_LENGTH, &(end - offset).to_string());
    response
}

fn set_text(response: &mut Response, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

fn content_type(name: &str) -> &'static str {
    if name.ends_with(".zst") {
        "application/zstd"
    } else if name.ends_with(".gz") {
        "application/gzip"
    } else {
        "text/plain; charset=utf-8"
    }
}

fn no_such_file() -> Response {
    response::error(StatusCode::NOT_FOUND, "there is no such file")
}

fn unreadable(error: &io::Error) -> Response {
    tracing::warn!(%error, "cannot read the directory of the CDR");
    response::error(StatusCode::INTERNAL_SERVER_ERROR, "the directory of the CDR cannot be read")
}

/// Which version of a file this is.
struct Version {
    /// The file, its length, and when it was written.
    tag: String,
    /// `None` if the file may be written again within the second that this names.
    modified_at: Option<HttpDate>,
}

/// What the conditions of a request leave to be sent.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// The peer has it.
    Nothing,
    /// The peer wants a version that does not exist any more.
    Another,
    Whole,
    /// The whole file, or the requested part.
    Part,
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        let modified_at = metadata.modified().ok();
        let is_settled = |at: &SystemTime| at.elapsed().is_ok_and(|age| age >= SETTLED_AGE);
        let (inode, bytes) = (metadata.ino(), metadata.len());
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        Self {
            tag: format!("\"{inode:x}-{bytes:x}-{seconds:x}.{nanoseconds:x}\""),
            modified_at: modified_at.filter(is_settled).map(HttpDate::from),
        }
    }

    fn put(&self, response: &mut Response) {
        set_text(response, header::ETAG, &self.tag);
        if let Some(modified_at) = self.modified_at {
            set_text(response, header::LAST_MODIFIED, &modified_at.to_string());
        }
    }

    /// RFC 9110, section 13.2.2: the order of the conditions. Malformed dates are ignored.
    fn wanted(&self, headers: &HeaderMap) -> Wanted {
        let date = |name| text_of(headers, name).and_then(|text| text.parse::<HttpDate>().ok());
        let has_passed = match self.is_among(headers, header::IF_MATCH) {
            Some(is_among) => is_among,
            None => date(header::IF_UNMODIFIED_SINCE)
                .is_none_or(|date| self.modified_at.is_some_and(|at| at <= date)),
        };
        if !has_passed {
            return Wanted::Another;
        }
        let is_known = match self.is_among(headers, header::IF_NONE_MATCH) {
            Some(is_among) => is_among,
            None => date(header::IF_MODIFIED_SINCE)
                .is_some_and(|date| self.modified_at.is_some_and(|at| at <= date)),
        };
        if is_known {
            return Wanted::Nothing;
        }
        let if_range = headers.get(header::IF_RANGE).map(|value| value.as_bytes());
        let is_this = |wanted: &[u8]| {
            let date = self.modified_at.map(|at| at.to_string());
            wanted == self.tag.as_bytes() || date.is_some_and(|date| date.as_bytes() == wanted)
        };
        if if_range.is_none_or(is_this) { Wanted::Part } else { Wanted::Whole }
    }

    /// Whether the tag is in a list of them, or the list is `*`. A weak tag comes from a proxy that
    /// has compressed the file: it is the same version. `None` without a list.
    fn is_among(&self, headers: &HeaderMap, name: HeaderName) -> Option<bool> {
        let list = text_of(headers, name)?;
        let mut tags = list.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        Some(tags.any(|tag| tag == "*" || tag == self.tag))
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Which part of a file is requested.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    /// From the first offset up to the second.
    Part(u64, u64),
    /// The file has no such bytes.
    None,
}

/// RFC 9110, section 14. Several ranges, other units and malformed ranges get the whole file, as
/// the standard allows.
///
/// By hand: `http-range-header`, which `tower-http` uses, and `headers` find no such bytes if a
/// request asks for the last ones and the file has fewer. The standard then requires the whole
/// file, and whoever looks at the end of a CDR asks like that.
fn range(headers: &HeaderMap, bytes: u64) -> Range {
    let value = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = value.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Range::Whole;
    };
    let Some((first, last)) = range.split_once('-') else { return Range::Whole };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    match (number(first), number(last)) {
        // The last bytes of the file.
        (None, Some(count)) if first.is_empty() => match count.min(bytes) {
            0 => Range::None,
            count => Range::Part(bytes - count, bytes),
        },
        (Some(offset), _) if last.is_empty() && offset < bytes => Range::Part(offset, bytes),
        (Some(offset), Some(last)) if offset <= last && offset < bytes => {
            Range::Part(offset, last.saturating_add(1).min(bytes))
        }
        (Some(_), _) if last.is_empty() => Range::None,
        (Some(offset), Some(last)) if offset <= last => Range::None,
        _ => Range::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(text).unwrap());
            range(&headers, 10)
        };
        for (text, expected) in [
            ("bytes=0-4", Range::Part(0, 5)),
            ("bytes=3-", Range::Part(3, 10)),
            ("bytes=-3", Range::Part(7, 10)),
            ("bytes=-30", Range::Part(0, 10)),
            ("bytes=0-99999999999999999999", Range::Whole),
            ("bytes=9-18446744073709551615", Range::Part(9, 10)),
            ("bytes=10-", Range::None),
            ("bytes=10-12", Range::None),
            ("bytes=-0", Range::None),
            ("bytes=5-3", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("lines=0-1", Range::Whole),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(range(&HeaderMap::new(), 0), Range::Whole);
    }
}
