//! What is known of peers, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// What counts as one peer: an address, or the whole IPv6 network that one customer gets.
pub(super) fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

/// A value for each peer, at least for those that were seen last.
///
/// There are two generations: a peer is put into the recent one when it is seen. Once that is full,
/// it becomes the earlier one, and the previous earlier one is dropped. So nothing has to be
/// searched for a peer to forget, however many strangers come.
#[derive(Debug)]
pub(super) struct PeerTable<T> {
    generation_max: usize,
    recent: HashMap<IpAddr, T>,
    earlier: HashMap<IpAddr, T>,
}

impl<T> PeerTable<T> {
    /// Remembers the last `generation_max` peers, and up to as many before them.
    pub(super) fn new(generation_max: usize) -> Self {
        Self { generation_max, recent: HashMap::new(), earlier: HashMap::new() }
    }

    pub(super) fn get(&self, peer: IpAddr) -> Option<&T> {
        self.recent.get(&peer).or_else(|| self.earlier.get(&peer))
    }

    /// What is known of a peer; `new` if nothing is.
    pub(super) fn entry(&mut self, peer: IpAddr, new: impl FnOnce() -> T) -> &mut T {
        let known = self.earlier.remove(&peer);
        if self.recent.len() >= self.generation_max && !self.recent.contains_key(&peer) {
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.entry(peer).or_insert_with(|| known.unwrap_or_else(new))
    }

    /// Forgets the peers whose value is not worth keeping.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        self.recent.retain(|_, known| is_kept(known));
        self.earlier.retain(|_, known| is_kept(known));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.earlier.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.recent.clear();
        self.earlier.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn the_peers_that_were_seen_last_are_remembered_and_no_more_than_twice_as_many() {
        let mut table = PeerTable::new(100);
        for number in 0..1000 {
            *table.entry(address(number), || 0) += 1;
            // Seen all the time.
            *table.entry(address(0), || 0) += 1;
        }
        let known = |number: u32| table.get(address(number)).is_some();
        assert!((901..1000).all(known), "one of the last is forgotten");
        assert_eq!(table.get(address(0)), Some(&1001));
        assert!(table.recent.len() + table.earlier.len() <= 200);
        assert!((1..700).all(|number| !known(number)));
    }

    #[test]
    fn what_is_not_worth_keeping_is_forgotten() {
        let mut table = PeerTable::new(2);
        for number in 0..4 {
            table.entry(address(number), || number);
        }
        table.retain(|number| *number == 3);
        assert_eq!((0..4).filter(|number| table.get(address(*number)).is_some()).count(), 1);
        table.clear();
        assert!(table.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_an_ipv4_address_is_one_in_either_form() {
        let peer = |text: &str| peer_of(text.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:2"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
        assert_ne!(peer("::1"), peer("::2"));
    }
}
