//! The address of a stream, and how to log in to its server.

use std::fmt;
use std::fs;
use std::path::Path;

use async_nats::{ConnectOptions, ServerAddr};
use cdrlog::manifest::Hash;

use crate::ship::destination::Failure;
use crate::ship::header::{Chain, Stream};

const PREFIX_DEFAULT: &str = "cdr";

/// A stream of JetStream, as given with `--to`. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamAddress {
    pub(super) is_tls: bool,
    /// The host, and the port unless it is 4222.
    pub(super) server: String,
    pub(super) stream: String,
    /// What all subjects begin with.
    pub(super) prefix: String,
}

impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_tls, server, stream, prefix } = self;
        let scheme = if *is_tls { "tls" } else { "nats" };
        write!(f, "{scheme}://{server}/{stream}")?;
        if prefix == PREFIX_DEFAULT { Ok(()) } else { write!(f, "?prefix={prefix}") }
    }
}

impl StreamAddress {
    /// `rest` is what follows `nats://` or `tls://`.
    pub(in crate::ship) fn parse(rest: &str, is_tls: bool) -> Result<Self, String> {
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, stream) = place.split_once('/').unwrap_or((place, ""));
        if place.contains('@') {
            return Err(
                "everybody can read a password in the list of processes: leave it out, and \
                        set NATS_CREDS or NATS_NKEY to a file, or NATS_USER and NATS_PASSWORD, or \
                        NATS_TOKEN"
                    .to_owned(),
            );
        }
        if server.is_empty() || server.parse::<ServerAddr>().is_err() || !is_name(stream) {
            return Err(
                "write nats://host:port/STREAM; the name of a stream has letters, digits, - \
                        and _"
                    .to_owned(),
            );
        }
        let mut address = Self {
            is_tls,
            server: server.to_owned(),
            stream: stream.to_owned(),
            prefix: PREFIX_DEFAULT.to_owned(),
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("prefix", prefix)) if prefix.split('.').all(is_name) => {
                    address.prefix = prefix.to_owned();
                }
                other => {
                    // The value may be a password.
                    let name = other.map_or(option, |(name, _)| name);
                    return Err(format!(
                        "{name:?} is no option of a stream: there is prefix, of letters, digits, -, _ \
                         and ."
                    ));
                }
            }
        }
        Ok(address)
    }

    /// The subject of the blocks of a chain.
    pub(super) fn subject(&self, chain: &Chain) -> String {
        format!("{}.{}", self.prefix, of_chain(chain))
    }

    /// Those of all chains of a stream of blocks.
    pub(super) fn chains(&self, stream: Stream) -> String {
        format!("{}.{stream}.*", self.prefix)
    }

    /// The node of a subject of these.
    pub(super) fn node_of(&self, subject: &str, stream: Stream) -> Option<String> {
        let name = subject.strip_prefix(&format!("{}.{stream}.", self.prefix))?;
        Some(name.replace("%2E", "."))
    }

    /// That of blocks that were put back, because they were missing before the last one.
    pub(super) fn fills_subject(&self, chain: &Chain) -> String {
        format!("{}.fills.{}", self.prefix, of_chain(chain))
    }

    pub(super) fn is_of_fills(&self, subject: &str) -> bool {
        subject.starts_with(&format!("{}.fills.", self.prefix))
    }

    /// That of the node that ships the files of a birth.
    pub(super) fn birth_subject(&self, birth: Hash) -> String {
        format!("{}.births.{birth}", self.prefix)
    }

    /// All subjects of the stream.
    pub(super) fn subjects(&self) -> String {
        format!("{}.>", self.prefix)
    }

    /// The stream of watermarks, which keeps the last message of each subject only.
    pub(super) fn marks_stream(&self) -> String {
        format!("{}_MARKS", self.stream)
    }

    pub(super) fn marks_subject(&self, chain: &Chain) -> String {
        format!("{}-marks.{}", self.prefix, of_chain(chain))
    }

    pub(super) fn marks_subjects(&self) -> String {
        format!("{}-marks.>", self.prefix)
    }

    /// How to log in, from the environment as for the other tools of NATS.
    pub(super) fn options(&self) -> Result<ConnectOptions, Failure> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let options = if let Some(path) = set("NATS_CREDS") {
            ConnectOptions::with_credentials(&read(&path)?).map_err(|error| {
                Failure(format!("{path} is no file of credentials of NATS: {error}"))
            })?
        } else if let Some(path) = set("NATS_NKEY") {
            ConnectOptions::with_nkey(read(&path)?.trim().to_owned())
        } else if let Some(user) = set("NATS_USER") {
            let password = set("NATS_PASSWORD");
            let password =
                password.ok_or_else(|| Failure("set NATS_PASSWORD, or no NATS_USER".to_owned()))?;
            ConnectOptions::with_user_and_password(user, password)
        } else if let Some(token) = set("NATS_TOKEN") {
            ConnectOptions::with_token(token)
        } else {
            ConnectOptions::new()
        };
        Ok(options.name("cdrlog").require_tls(self.is_tls))
    }
}

fn of_chain(chain: &Chain) -> String {
    // A point would begin another part of the subject.
    format!("{}.{}", chain.stream, chain.node.replace('.', "%2E"))
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(Path::new(path))
        .map_err(|error| Failure(format!("cannot read {path}: {error}")))
}

/// One part of a subject, and the name of a stream.
fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<StreamAddress, String> {
        StreamAddress::parse(rest, false)
    }

    #[test]
    fn an_address_names_a_server_a_stream_and_perhaps_a_prefix() {
        for text in ["nats:4222/CDR", "127.0.0.1/CDR?prefix=eu.cdr", "[::1]:4222/CDR"] {
            assert_eq!(parse(text).unwrap().to_string(), format!("nats://{text}"));
        }
        let with_tls = StreamAddress::parse("nats/CDR?prefix=cdr", true).unwrap();
        assert_eq!(with_tls.to_string(), "tls://nats/CDR");
        for wrong in ["nats:4222", "nats/", "nats/A.B", "/CDR", "nats/CDR/x", "nats:port/CDR"] {
            assert!(parse(wrong).unwrap_err().contains("nats://host:port/STREAM"), "{wrong}");
        }
        assert!(parse("nats/CDR?x=1").unwrap_err().contains("no option of a stream"));
        assert!(parse("nats/CDR?prefix=a.>").unwrap_err().contains("no option of a stream"));
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for text in ["me:hunter2@nats/CDR", "hunter2@nats:4222/CDR"] {
            let fault = parse(text).unwrap_err();
            assert!(fault.contains("NATS_CREDS") && !fault.contains("hunter2"), "{fault}");
        }
        let fault = parse("nats/CDR?token=hunter2").unwrap_err();
        assert!(fault.contains("\"token\" is no option") && !fault.contains("hunter2"), "{fault}");
    }

    #[test]
    fn a_node_is_one_part_of_a_subject() {
        let address = parse("nats/CDR?prefix=eu.cdr").unwrap();
        let chain = Chain { node: "media-1.example.".to_owned(), stream: Stream::Rejects };
        assert_eq!(address.subject(&chain), "eu.cdr.rejects.media-1%2Eexample%2E");
        let node = address.node_of(&address.subject(&chain), Stream::Rejects);
        assert_eq!(node, Some(chain.node));
    }
}
