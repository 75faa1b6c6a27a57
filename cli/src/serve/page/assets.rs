//! The files of the page, which are in the binary, and the headers that every answer has.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::body::{Content, Response};

/// Only this server's own files, nothing inline, and no text that becomes markup: a text that a
/// caller has chosen cannot run or load anything, even if the page had a fault.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Not `no-referrer`: with it browsers send `Origin: null` with the page's own forms.
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    content_type: &'static str,
    text: &'static str,
    /// The form for the password needs it.
    pub(super) is_public: bool,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) const ASSETS: [Asset; 7] = [
    Asset {
        path: "/",
        content_type: HTML,
        text: include_str!("assets/index.html"),
        is_public: false,
    },
    Asset {
        path: "/page.js",
        content_type: SCRIPT,
        text: include_str!("assets/page.js"),
        is_public: false,
    },
    Asset {
        path: "/charts.js",
        content_type: SCRIPT,
        text: include_str!("assets/charts.js"),
        is_public: false,
    },
    Asset {
        path: "/data.js",
        content_type: SCRIPT,
        text: include_str!("assets/data.js"),
        is_public: false,
    },
    Asset {
        path: "/rooms.js",
        content_type: SCRIPT,
        text: include_str!("assets/rooms.js"),
        is_public: false,
    },
    Asset {
        path: "/page.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("assets/page.css"),
        is_public: true,
    },
    Asset {
        path: "/icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
        is_public: true,
    },
];

const LOGIN: &str = include_str!("assets/login.html");

/// Stands for the token in the form.
const TOKEN_MARK: &str = "{token}";
/// Stands for the message above the form.
const MESSAGE_MARK: &str = "{message}";

impl Asset {
    pub(super) fn of_path(path: &str) -> Option<Self> {
        ASSETS.into_iter().find(|asset| asset.path == path)
    }

    pub(super) fn response(self) -> Response {
        answer(StatusCode::OK, self.content_type, Bytes::from_static(self.text.as_bytes()))
    }
}

/// The form for the password. `token` is of hexadecimal digits, and `message` is one of ours.
pub(super) fn login(status: StatusCode, token: &str, message: &'static str) -> Response {
    let text = LOGIN.replace(TOKEN_MARK, token).replace(MESSAGE_MARK, message);
    answer(status, HTML, text)
}

/// An answer with the headers that all of them have.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(Content::bytes(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    secure(response)
}

/// The same answer with those headers.
pub(super) fn secure(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_smaller_than_100_kilobytes() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.text.len()).sum::<usize>() + LOGIN.len();
        assert!(bytes < 100_000, "{bytes}");
    }

    #[test]
    fn the_page_loads_nothing_from_other_hosts_and_has_nothing_inline() {
        for text in ASSETS.iter().map(|asset| asset.text).chain([LOGIN]) {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for wrong in ["http:", "https:", "//cdn", "<style", " style=", " onclick=", "@import"] {
                assert!(!text.contains(wrong), "{wrong}");
            }
            assert!(text.split("<script").skip(1).all(|rest| rest.contains("src=")));
        }
    }

    #[test]
    fn no_script_makes_markup_of_a_text() {
        for asset in ASSETS.iter().filter(|asset| asset.content_type == SCRIPT) {
            for wrong in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "DOMParser",
                ".srcdoc",
                "createContextualFragment",
                "setTimeout(\"",
            ] {
                assert!(!asset.text.contains(wrong), "{}: {wrong}", asset.path);
            }
        }
    }
}
