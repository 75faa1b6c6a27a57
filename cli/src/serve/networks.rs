//! The networks whose peers may connect: `--allow`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

use super::listen::UNIX_PEER;

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Network {
    /// Its lowest address; never an IPv4 address in IPv6 form.
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && masked(address, self.prefix_bits) == bits(self.address)
    }
}

/// Whether a peer may connect. Without any network, all may. The mode of a unix socket says who may
/// connect to it, not the networks.
pub(super) fn allow(networks: &[Network], peer: SocketAddr) -> bool {
    networks.is_empty()
        || peer == UNIX_PEER
        || networks.iter().any(|network| network.contains(peer.ip()))
}

/// The bits of an address, the first one on the left.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn masked(address: IpAddr, prefix_bits: u32) -> u128 {
    bits(address) & u128::MAX.checked_shl(128 - prefix_bits).unwrap_or_default()
}

fn from_bits(bits: u128, is_ipv4: bool) -> IpAddr {
    // The lower bits of an IPv4 address are zeros.
    if is_ipv4 {
        IpAddr::from(((bits >> 96) as u32).to_be_bytes())
    } else {
        IpAddr::from(bits.to_be_bytes())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl FromStr for Network {
    type Err = String;

    /// An address, or an address and the length of the network's prefix.
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || {
            "it must be a network such as 10.0.0.0/8 or 2001:db8::/32, or an address; names are \
             not looked up"
                .to_owned()
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        if address != address.to_canonical() {
            return Err(format!("write it as a network of IPv4: {}", address.to_canonical()));
        }
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| malformed())?
            }
            Some(_) => return Err(malformed()),
            None => bits_max,
        };
        if prefix_bits > bits_max {
            return Err(format!("its prefix has {bits_max} bits at most, not {prefix_bits}"));
        }
        let network = from_bits(masked(address, prefix_bits), address.is_ipv4());
        if network != address {
            return Err(format!(
                "{address} is an address in the network {network}/{prefix_bits}: give that, or the \
                 address alone"
            ));
        }
        Ok(Self { address, prefix_bits })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(networks: &[&str], address: &str) -> bool {
        let networks: Vec<_> = networks.iter().map(|text| text.parse().unwrap()).collect();
        allow(&networks, SocketAddr::new(address.parse().unwrap(), 4711))
    }

    #[test]
    fn without_a_network_all_addresses_are_allowed() {
        assert!(allows(&[], "192.0.2.1") && allows(&[], "2001:db8::1"));
    }

    #[test]
    fn a_unix_socket_is_in_no_network_and_allowed() {
        assert!(allow(&["192.0.2.7".parse().unwrap()], UNIX_PEER));
    }

    #[test]
    fn an_address_is_allowed_by_the_bits_of_the_prefix_and_no_others() {
        for (networks, address, is_allowed) in [
            (&["10.0.0.0/8"][..], "10.255.255.255", true),
            (&["10.0.0.0/8"], "11.0.0.0", false),
            (&["10.0.0.0/8"], "9.255.255.255", false),
            (&["192.0.2.128/25"], "192.0.2.127", false),
            (&["192.0.2.128/25"], "192.0.2.128", true),
            (&["192.0.2.7"], "192.0.2.7", true),
            (&["192.0.2.7"], "192.0.2.6", false),
            (&["0.0.0.0/0"], "203.0.113.9", true),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["::/0"], "203.0.113.9", false),
            (&["::/0"], "2001:db8::1", true),
            (&["2001:db8::/32"], "2001:db8:ffff::1", true),
            (&["2001:db8::/32"], "2001:db9::1", false),
            (&["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", true),
        ] {
            assert_eq!(allows(networks, address), is_allowed, "{networks:?} {address}");
        }
    }

    /// An IPv6 socket accepts IPv4 connections under such addresses.
    #[test]
    fn an_ipv4_address_in_the_form_of_ipv6_is_one_of_ipv4() {
        assert!(allows(&["10.0.0.0/8"], "::ffff:10.1.2.3"));
        assert!(!allows(&["::/0"], "::ffff:10.1.2.3"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for (text, expected) in [
            ("localhost", "it must be a network such as"),
            ("10.0.0.0/", "it must be a network such as"),
            ("10.0.0.0/+8", "it must be a network such as"),
            ("10.0.0.0/8/8", "it must be a network such as"),
            ("10.0.0.0/33", "its prefix has 32 bits at most, not 33"),
            ("2001:db8::/129", "its prefix has 128 bits at most, not 129"),
            ("10.1.2.3/8", "10.1.2.3 is an address in the network 10.0.0.0/8: give that"),
            ("2001:db8::1/32", "in the network 2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "write it as a network of IPv4: 10.0.0.0"),
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
