//! The site that a request comes from and the host that it is for: keeps web pages out of a server
//! that requires no credentials.
//!
//! A browser on this machine can reach a loopback address from every page that it shows. A page of
//! another origin can post to it without asking, and one whose name was made to resolve to
//! 127.0.0.1 (DNS rebinding) could also read the CDR. The first sends an `Origin` that is not this
//! server, the second a `Host` that is not a name of this machine. Programs send no `Origin`, and
//! their `Host` is the one that they were configured with.

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use super::refusals::{Reason, Refusal};

/// Which requests a server without credentials answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// Only those that are sent to a name of this machine.
    Loopback,
    /// Those that are sent to any name.
    Any,
}

/// What the operator may do about a refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaysOut {
    pub(super) of_foreign_host: &'static str,
    pub(super) of_foreign_origin: &'static str,
}

impl Site {
    /// Refuses what a page of another site makes a browser send.
    pub(super) fn check(
        self,
        uri: &Uri,
        headers: &HeaderMap,
        ways_out: WaysOut,
    ) -> Result<(), Refusal> {
        let host = host(uri, headers);
        if self == Self::Loopback && !host.is_none_or(is_of_this_machine) {
            return Err(Refusal::new(
                Reason::ForeignHost,
                format!(
                    "without credentials only requests to localhost or a loopback address are \
                     answered, and the Host of this one is another: {}",
                    ways_out.of_foreign_host
                ),
            ));
        }
        let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
        let is_own = |origin: &str| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some()
                && authority.map(str::to_ascii_lowercase) == host.map(str::to_ascii_lowercase)
        };
        if origins.iter().all(|origin| origin.to_str().is_ok_and(is_own)) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::ForeignOrigin,
            format!(
                "without credentials no web page of another site may ask, and the Origin of this \
                 request is another: {}",
                ways_out.of_foreign_origin
            ),
        ))
    }
}

/// The requested host, with its port: in HTTP/2, and in requests to proxies, the URI has it. `None`
/// if none is named, which no browser does; an empty one is a name too, which nobody has.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    sole_text(headers, &HOST)
}

/// `Some("")` if it occurs twice, or is not text.
fn sole_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().unwrap_or_default()),
        (Some(_), Some(_)) => Some(""),
    }
}

/// `localhost`, a name below it, or a loopback address, with or without a port.
fn is_of_this_machine(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address are inside its brackets.
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    if let Ok(address) = address.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let is_name =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    is_name && (name == "localhost" || name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAYS_OUT: WaysOut =
        WaysOut { of_foreign_host: "ask for a password", of_foreign_origin: "close the page" };

    #[test]
    fn only_names_and_addresses_of_this_machine_are_its_own() {
        for host in [
            "localhost",
            "LocalHost:80",
            "a.localhost",
            "127.0.0.1",
            "127.1.2.3:8787",
            "[::1]",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_of_this_machine(host), "{host}");
        }
        for host in [
            "",
            ":",
            "localhost:x",
            "localhost.example",
            "notlocalhost",
            "x@localhost",
            "127.0.0.1.example",
            "0.0.0.0",
            "[::]",
            "10.0.0.1",
            "[::1",
            "127.0.0.1]",
            "example/.localhost",
        ] {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }

    #[test]
    fn the_authority_of_http_2_counts_and_not_a_host_beside_it() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        let foreign = Uri::from_static("http://evil.example/");
        let refusal = Site::Loopback.check(&foreign, &headers, WAYS_OUT).unwrap_err();
        assert_eq!(refusal.reason, Reason::ForeignHost);
        assert!(refusal.detail().ends_with("is another: ask for a password"), "{refusal:?}");
        assert!(Site::Any.check(&foreign, &headers, WAYS_OUT).is_ok());
        let own = Uri::from_static("http://localhost:1/");
        assert!(Site::Loopback.check(&own, &headers, WAYS_OUT).is_ok());
        assert!(Site::Loopback.check(&Uri::from_static("/"), &headers, WAYS_OUT).is_ok());
        assert!(Site::Loopback.check(&Uri::from_static("/"), &HeaderMap::new(), WAYS_OUT).is_ok());
    }

    #[test]
    fn one_origin_of_several_that_is_another_is_enough() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost:1".parse().unwrap());
        let uri = Uri::from_static("/");
        headers.append(ORIGIN, "http://localhost:1".parse().unwrap());
        assert!(Site::Any.check(&uri, &headers, WAYS_OUT).is_ok());
        headers.append(ORIGIN, "http://evil.example".parse().unwrap());
        let refusal = Site::Any.check(&uri, &headers, WAYS_OUT).unwrap_err();
        assert_eq!(refusal.reason, Reason::ForeignOrigin);
        assert!(refusal.detail().ends_with("is another: close the page"), "{refusal:?}");
    }
}
