//! The value of `--ui`: where the page listens.

use std::net::SocketAddr;
use std::str::FromStr;

use serde::Deserialize;

/// Where the page listens if only `--ui` is given.
pub(super) const ADDRESS_DEFAULT: &str = "127.0.0.1:8788";

/// The value of `--ui`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PageAddress(pub(super) SocketAddr);

impl FromStr for PageAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("it must be an address and a port, such as {ADDRESS_DEFAULT}; names are not looked up")
        })
    }
}

impl TryFrom<String> for PageAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_a_name() {
        assert_eq!("[::1]:9".parse::<PageAddress>().unwrap().0.port(), 9);
        for wrong in ["localhost:9", "127.0.0.1", "unix:/x", ""] {
            assert!(wrong.parse::<PageAddress>().is_err(), "{wrong}");
        }
    }
}
