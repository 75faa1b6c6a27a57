//! Where the page listens, and who may look.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::networks::Network;
use super::super::settings::Limits;
use super::super::tls::Tls;

/// Wrong passwords a minute of one address: people type, and only programs try more.
const WRONG_PASSWORDS_PER_MINUTE: u64 = 20;

/// What the page runs with.
#[derive(Clone, Debug)]
pub(in super::super) struct PageSettings {
    pub(in super::super) address: SocketAddr,
    pub(in super::super) directory: PathBuf,
    pub(in super::super) password_file: Option<PathBuf>,
    /// `Name: value`.
    pub(in super::super) proxy_header: Option<String>,
    /// The options that named the two, for messages.
    pub(in super::super) password_option: &'static str,
    pub(in super::super) header_option: &'static str,
    /// Its own, because the endpoint's is replaced by the endpoint.
    pub(in super::super) tls: Option<Arc<Tls>>,
    /// Who may connect; everybody if it is empty.
    pub(in super::super) allowed: Vec<Network>,
    pub(in super::super) limits: Limits,
    pub(in super::super) has_endpoint: bool,
}

impl PageSettings {
    /// What is wrong, if others can reach the page and need no credentials.
    pub(in super::super) fn check(mut self) -> Result<Self, String> {
        let is_exposed = !self.address.ip().to_canonical().is_loopback();
        if is_exposed && self.password_file.is_none() && self.proxy_header.is_none() {
            return Err(format!(
                "{} can be reached by others: say who may look at the page ({}, {})",
                self.address, self.password_option, self.header_option
            ));
        }
        let failures = &mut self.limits.peer_auth_failures_per_minute;
        *failures = (*failures).min(WRONG_PASSWORDS_PER_MINUTE);
        Ok(self)
    }

    #[cfg(test)]
    pub(super) fn of_test() -> Self {
        let settings = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            directory: PathBuf::new(),
            password_file: None,
            proxy_header: None,
            password_option: "--ui-password-file",
            header_option: "--ui-proxy-header",
            tls: None,
            allowed: Vec::new(),
            limits: Limits::new(&super::super::options::Options::default()).unwrap(),
            has_endpoint: false,
        };
        settings.check().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_others_can_reach_needs_credentials() {
        let at = |address: &str, header: Option<&str>| {
            let proxy_header = header.map(str::to_owned);
            PageSettings {
                address: address.parse().unwrap(),
                proxy_header,
                ..PageSettings::of_test()
            }
            .check()
        };
        assert!(at("127.0.0.1:1", None).is_ok() && at("[::1]:1", None).is_ok());
        let told = at("0.0.0.0:8788", None).unwrap_err();
        assert!(told.contains("--ui-password-file, --ui-proxy-header"), "{told}");
        assert!(at("0.0.0.0:8788", Some("X-Page: secret")).is_ok());
    }
}
