//! Where the server listens: an address and a port, or the path of a unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// The prefix of the path of a unix socket.
const UNIX: &str = "unix:";

/// One value of `--listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether programs on other machines can reach it. A unix socket is a file on this one,
    /// protected by its mode.
    pub(in super::super) fn is_exposed(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().to_canonical().is_loopback())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX) {
            Some("") => Err("the path of the unix socket is empty".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "it must be an address and a port, such as 127.0.0.1:8787 or [::]:8787, or unix: and a \
                 path; names are not looked up"
                    .to_owned()
            }),
        }
    }
}

/// One address, or a list of them, as in the options file.
pub(in super::super) fn one_or_several<'de, D>(
    deserializer: D,
) -> Result<Vec<ListenAddress>, D::Error>
where
    D: Deserializer<'de>,
{
    struct OneOrSeveral;

    impl<'de> Visitor<'de> for OneOrSeveral {
        type Value = Vec<ListenAddress>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address or a list of addresses")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.parse().map_err(E::custom)?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut addresses = Vec::new();
            while let Some(text) = list.next_element::<String>()? {
                addresses.push(text.parse().map_err(de::Error::custom)?);
            }
            Ok(addresses)
        }
    }

    deserializer.deserialize_any(OneOrSeveral)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_as_it_is_given() {
        for text in ["127.0.0.1:8787", "[::1]:80", "unix:/run/cdrlog/http.sock"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for wrong in ["localhost:80", "127.0.0.1", "unix:", "/run/cdrlog/http.sock"] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_addresses_of_other_machines_are_exposed() {
        for (text, is_exposed) in [
            ("127.0.0.1:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("unix:/tmp/socket", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.0.2.1:1", true),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().is_exposed(), is_exposed, "{text}");
        }
    }
}
