//! `GET /openvidu/cdr` and `GET /openvidu/cdr/<file>`, as OpenVidu's own server offers them.
//!
//! A name is never decoded and never put together from parts: it is one of those that the files of
//! a CDR have, byte for byte, or there is no such file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use cdrlog::reader::{FileKind, cdr_files};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use rustix::fs::OFlags;
use serde_json::json;

use super::answer::{self, Answer, Content, FilePart};

/// The list of all CDR files: a JSON array of their names, as OpenVidu gives it, or a page where a
/// browser asks.
pub(super) async fn list(directory: &Path, headers: &HeaderMap) -> Answer {
    let directory = directory.to_owned();
    let wants_page = accepts_html(headers);
    let names = tokio::task::spawn_blocking(move || cdr_names(&directory)).await;
    match names.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
        Ok(names) if wants_page => {
            answer::text(StatusCode::OK, "text/html; charset=utf-8", page(&names))
        }
        Ok(names) => answer::text(StatusCode::OK, answer::JSON, json!(names).to_string()),
        Err(error) => unreadable(&error),
    }
}

fn cdr_names(directory: &Path) -> io::Result<Vec<String>> {
    let files = cdr_files(directory).map_err(io::Error::other)?;
    let cdr = files.into_iter().filter(|file| file.kind == FileKind::Cdr);
    // A symbolic link is never given: see `open`.
    let own = cdr.filter(|file| !file.path.is_symlink());
    Ok(own.filter_map(|file| Some(file.path.file_name()?.to_str()?.to_owned())).collect())
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The names hold nothing that HTML would take for anything else.
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

/// One file, or the part of it that is asked for.
pub(super) async fn file(
    directory: &Path,
    name: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Answer {
    if FileKind::of_name(name).is_none() {
        return no_such_file();
    }
    let path = directory.join(name);
    let opened = tokio::task::spawn_blocking(move || open(&path)).await;
    let (file, bytes) = match opened.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
        Ok(Some(opened)) => opened,
        Ok(None) => return no_such_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return no_such_file(),
        Err(error) => return unreadable(&error),
    };
    let mut answer = match range(headers, bytes) {
        Range::Whole => part(file, 0, bytes, StatusCode::OK),
        Range::Part(offset, end) => {
            let mut answer = part(file, offset, end, StatusCode::PARTIAL_CONTENT);
            let last = end.saturating_sub(1);
            set_text(&mut answer, header::CONTENT_RANGE, &format!("bytes {offset}-{last}/{bytes}"));
            answer
        }
        Range::None => {
            let mut answer = answer::error(StatusCode::RANGE_NOT_SATISFIABLE, "no such bytes");
            set_text(&mut answer, header::CONTENT_RANGE, &format!("bytes */{bytes}"));
            return answer;
        }
    };
    answer::set(&mut answer, header::CONTENT_TYPE, content_type(name));
    answer::set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if method == Method::HEAD {
        *answer.body_mut() = Content::bytes("");
    }
    answer
}

/// `None` where it is no regular file. A symbolic link is not followed: it may lead anywhere.
fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    // Without waiting, because somebody may have put a pipe there.
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
    Ok(metadata.is_file().then_some((file, metadata.len())))
}

fn part(file: File, offset: u64, end: u64, status: StatusCode) -> Answer {
    let part = FilePart { file: Arc::new(file), offset, end, reading: None };
    let mut answer = Answer::new(Content::file(part));
    *answer.status_mut() = status;
    answer::set(&mut answer, header::ACCEPT_RANGES, "bytes");
    set_text(&mut answer, header::CONTENT_LENGTH, &(end - offset).to_string());
    answer
}

fn set_text(answer: &mut Answer, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        answer.headers_mut().insert(name, value);
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

fn no_such_file() -> Answer {
    answer::error(StatusCode::NOT_FOUND, "there is no such file")
}

fn unreadable(error: &io::Error) -> Answer {
    tracing::warn!(%error, "cannot read the directory of the CDR");
    answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the directory of the CDR cannot be read")
}

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    /// From the first offset up to the second.
    Part(u64, u64),
    /// The file has no such bytes.
    None,
}

/// RFC 9110, section 14. Several ranges, other units and conditions get the whole file, as the
/// standard allows.
fn range(headers: &HeaderMap, bytes: u64) -> Range {
    let value = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = value.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Range::Whole;
    };
    if headers.contains_key(header::IF_RANGE) {
        return Range::Whole;
    }
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
