//! Headers that a request must have, such as those that OpenVidu sends
//! (`OPENVIDU_WEBHOOK_HEADERS`).
//!
//! A request must have every name that is given, each with one of the values given for it. So a
//! list can be copied from OpenVidu as it is, and two values of one name are two senders, or the
//! old secret and the new one.

use std::path::Path;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::secret::{AuthError, lines_of};
use super::{Denied, sole};

/// Where the headers come from, for messages.
const HEADER_OPTION: &str = "--header or OPENVIDU_WEBHOOK_HEADERS";

/// Headers that browsers, proxies and libraries send by themselves. Everybody knows their values,
/// so a list of nothing else would let everybody in.
const NO_SECRETS: [&str; 56] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "age",
    "allow",
    "alt-svc",
    "baggage",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "connection",
    "cookie2",
    "date",
    "device-memory",
    "dnt",
    "dpr",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "prefer",
    "priority",
    "proxy-connection",
    "purpose",
    "range",
    "referer",
    "referrer-policy",
    "refresh",
    "retry-after",
    "save-data",
    "server",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "warning",
    "x-http-method-override",
    "x-real-ip",
    "x-requested-with",
];

/// The prefixes of such names.
const NO_SECRET_PREFIXES: [&str; 6] =
    ["accept-", "access-control-", "content-", "if-", "sec-", "x-forwarded-"];

fn is_no_secret(name: &HeaderName) -> bool {
    NO_SECRETS.contains(&name.as_str())
        || NO_SECRET_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
}

#[derive(Debug, Default)]
pub(super) struct HeaderRules(Vec<Rule>);

struct Rule {
    name: HeaderName,
    /// Hashes of the values, not the values: a comparison then takes the same time whatever the
    /// length and content of the right ones are, and nothing can print them.
    values: Vec<blake3::Hash>,
    /// `Basic` or `Bearer`, if `name` is `Authorization`.
    schemes: Vec<&'static str>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: secret", self.name)
    }
}

impl HeaderRules {
    pub(super) fn load(headers: &[String], file: Option<&Path>) -> Result<Self, AuthError> {
        let mut rules = Self::default();
        for text in headers {
            rules.add_list(HEADER_OPTION, text)?;
        }
        if let Some(path) = file {
            let of_option = |error: AuthError| error.of_option("--header-file");
            for line in lines_of(path).map_err(of_option)? {
                rules.add_list(&line.from, &line.text).map_err(of_option)?;
            }
        }
        rules.check_secret(HEADER_OPTION)?;
        Ok(rules)
    }

    /// One header, the value of this option.
    pub(super) fn of_option(option: &str, text: &str) -> Result<Self, AuthError> {
        let mut rules = Self::default();
        rules.add(option, text)?;
        rules.check_secret(option)?;
        Ok(rules)
    }

    fn check_secret(&self, option: &str) -> Result<(), AuthError> {
        if self.0.is_empty() || !self.0.iter().all(|rule| is_no_secret(&rule.name)) {
            return Ok(());
        }
        let names: Vec<_> = self.0.iter().map(|rule| rule.name.as_str()).collect();
        let fault = format!(
            "everybody may send {}; one header must be a secret, such as \"Authorization: Basic …\"",
            names.join(", ")
        );
        Err(AuthError::new(option, fault))
    }

    /// One header, or a list of them as in OpenVidu's configuration: `["Name: value"]`.
    fn add_list(&mut self, from: &str, text: &str) -> Result<(), AuthError> {
        if !text.trim_start().starts_with('[') {
            return self.add(from, text);
        }
        let list: Vec<String> = serde_json::from_str(text)
            .map_err(|_| AuthError::new(from, "it is not a list like [\"Name: value\"]"))?;
        list.iter().try_for_each(|text| self.add(from, text))
    }

    fn add(&mut self, from: &str, text: &str) -> Result<(), AuthError> {
        let malformed = || AuthError::new(from, "it has to be like \"Authorization: Basic abc=\"");
        let (name, value) = text.split_once(':').ok_or_else(malformed)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| malformed())?;
        let value = value.trim_matches([' ', '\t', '\r']);
        HeaderValue::from_bytes(value.as_bytes()).map_err(|_| malformed())?;
        let scheme = ["Basic", "Bearer"].into_iter().find(|scheme| {
            name == AUTHORIZATION
                && value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if value.len() == scheme.map_or(0, str::len) {
            return Err(AuthError::new(from, format!("the secret of {name} is empty")));
        }
        let index = self.0.iter().position(|rule| rule.name == name).unwrap_or(self.0.len());
        if index == self.0.len() {
            self.0.push(Rule { name, values: Vec::new(), schemes: Vec::new() });
        }
        if let Some(rule) = self.0.get_mut(index) {
            rule.values.push(blake3::hash(value.as_bytes()));
            rule.schemes.extend(scheme);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The schemes of `Authorization` among them, each once.
    pub(super) fn schemes(&self) -> Vec<&'static str> {
        let mut schemes: Vec<_> = self.0.iter().flat_map(|rule| rule.schemes.clone()).collect();
        schemes.sort_unstable();
        schemes.dedup();
        schemes
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let mut passed = true;
        let mut found_any = false;
        for rule in &self.0 {
            match sole(headers, &rule.name) {
                Ok(value) => {
                    found_any |= !is_no_secret(&rule.name);
                    passed &= rule.fits(value);
                }
                Err(Denied::Missing) => passed = false,
                Err(denied) => return Err(denied),
            }
        }
        match (passed, found_any) {
            (true, _) => Ok(()),
            (false, true) => Err(Denied::Wrong("the credentials are wrong")),
            (false, false) => Err(Denied::Missing),
        }
    }
}

impl Rule {
    /// Compares with every value, even after one has matched. Comparing hashes takes constant time.
    fn fits(&self, value: &[u8]) -> bool {
        let given = blake3::hash(value);
        self.values.iter().fold(false, |fits, hash| fits | (*hash == given))
    }
}
