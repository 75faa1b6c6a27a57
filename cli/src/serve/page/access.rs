//! Who may look at the page: everybody on this machine, or who has a password, or whom a proxy lets
//! through.
//!
//! Without credentials the page is only for browsers of this machine, at a name of this machine:
//! see `site.rs`. A password gives a session, whose cookie no script can read and no page of
//! another site can make the browser send.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hyper::Uri;
use hyper::header::{COOKIE, HeaderMap};
use subtle::ConstantTimeEq;

use super::super::auth::{AuthError, Denied, Password, Passwords, ProxyHeader};
use super::super::file_watch::FileWatch;
use super::super::peer_limits::{Exceeded, PeerLimits};
use super::super::refusals::Refusal;
use super::super::site::{Site, WaysOut};
use super::settings::PageSettings;

/// How long a session lasts: a working day.
const SESSION_AGE: Duration = Duration::from_secs(12 * 3600);

/// Sessions at the same time; a new one ends the oldest.
const SESSIONS_MAX: usize = 4096;

/// Bytes of a token: nobody guesses it.
const TOKEN_BYTES: usize = 32;

/// The page knows no `--no-auth`.
const WAYS_OUT: WaysOut = {
    let credentials = "have the page ask for a password, or for the header of a proxy";
    WaysOut { of_foreign_host: credentials, of_foreign_origin: credentials }
};

#[derive(Debug)]
pub(super) struct Access {
    passwords: Option<PasswordFile>,
    proxy_header: Option<ProxyHeader>,
    sessions: Mutex<HashMap<blake3::Hash, Session>>,
    limits: PeerLimits,
    /// The cookie is only sent over TLS.
    is_secure: bool,
}

#[derive(Debug)]
struct PasswordFile {
    path: std::path::PathBuf,
    current: RwLock<Passwords>,
    watch: FileWatch,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    password: Password,
    begin: Instant,
}

/// Why somebody may not look.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unwelcome {
    Denied(Denied),
    Exceeded(Exceeded),
}

impl Access {
    pub(super) fn new(settings: &PageSettings) -> Result<Self, AuthError> {
        let password_file = |path: &std::path::PathBuf| {
            let watch = FileWatch::new([path.clone()]);
            let current = RwLock::new(Passwords::load(settings.password_option, path)?);
            Ok(PasswordFile { path: path.clone(), current, watch })
        };
        let header = settings.proxy_header.as_deref();
        Ok(Self {
            passwords: settings.password_file.as_ref().map(password_file).transpose()?,
            proxy_header: header
                .map(|text| ProxyHeader::new(settings.header_option, text))
                .transpose()?,
            sessions: Mutex::default(),
            limits: PeerLimits::new(&settings.limits),
            is_secure: settings.tls.is_some(),
        })
    }

    /// Nobody needs credentials.
    fn is_open(&self) -> bool {
        self.passwords.is_none() && self.proxy_header.is_none()
    }

    pub(super) fn has_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// Refuses what a page of another site makes a browser send.
    pub(super) fn check_site(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let site = if self.is_open() { Site::Loopback } else { Site::Any };
        site.check(uri, headers, WAYS_OUT)
    }

    /// Whether a request may see the record.
    pub(super) fn check(&self, headers: &HeaderMap, address: IpAddr) -> Result<(), Unwelcome> {
        if self.is_open() || self.has_session(headers) {
            return Ok(());
        }
        let Some(header) = &self.proxy_header else {
            return Err(Unwelcome::Denied(Denied::Missing));
        };
        self.limits.admit_credentials(address).map_err(Unwelcome::Exceeded)?;
        header.check(headers).map_err(|denied| {
            if matches!(denied, Denied::Wrong(_)) {
                self.limits.count_failure(address);
            }
            Unwelcome::Denied(denied)
        })
    }

    /// The token of a new session, for the right password.
    pub(super) fn log_in(&self, password: &[u8], address: IpAddr) -> Result<Token, Unwelcome> {
        let Some(file) = &self.passwords else { return Err(Unwelcome::Denied(Denied::Missing)) };
        self.limits.admit_credentials(address).map_err(Unwelcome::Exceeded)?;
        let found = file.current.read().unwrap_or_else(PoisonError::into_inner).find(password);
        let Some(password) = found else {
            self.limits.count_failure(address);
            return Err(Unwelcome::Denied(Denied::Wrong("the password is wrong")));
        };
        let token = Token::random();
        let mut sessions = self.sessions();
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.begin);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.and_then(|key| sessions.remove(&key));
        }
        sessions.insert(token.hash(), Session { password, begin: Instant::now() });
        Ok(token)
    }

    pub(super) fn log_out(&self, headers: &HeaderMap) {
        if let Some(token) = self.cookie(headers, self.session_cookie()) {
            self.sessions().remove(&blake3::hash(token.as_bytes()));
        }
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let token = self.cookie(headers, self.session_cookie());
        let session =
            token.and_then(|token| self.sessions().get(&blake3::hash(token.as_bytes())).copied());
        session.is_some_and(|session| session.begin.elapsed() < SESSION_AGE)
    }

    /// Whether a form came from the page that this browser was given: its token is also in a
    /// cookie, which no page of another site can set or read.
    pub(super) fn is_own_form(&self, headers: &HeaderMap, token: &str) -> bool {
        let expected = self.cookie(headers, self.form_cookie());
        expected.is_some_and(|expected| {
            expected.len() == 2 * TOKEN_BYTES
                && bool::from(expected.as_bytes().ct_eq(token.as_bytes()))
        })
    }

    /// Forgets sessions that are too old, and those whose password is no longer in the file. Called
    /// about every two seconds; blocks on the file.
    pub(super) fn sweep(&self) {
        self.limits.sweep();
        if let Some(file) = &self.passwords {
            file.reload_changed(&self.limits);
        }
        let passwords = self
            .passwords
            .as_ref()
            .map(|file| file.current.read().unwrap_or_else(PoisonError::into_inner));
        self.sessions().retain(|_, session| {
            let is_known = passwords.as_ref().is_some_and(|known| known.contains(session.password));
            is_known && session.begin.elapsed() < SESSION_AGE
        });
    }

    /// With `__Host-`, browsers take it only from this host itself, over TLS.
    fn session_cookie(&self) -> &'static str {
        if self.is_secure { "__Host-cdrlog" } else { "cdrlog" }
    }

    fn form_cookie(&self) -> &'static str {
        if self.is_secure { "__Host-cdrlog-form" } else { "cdrlog-form" }
    }

    pub(super) fn set_session(&self, token: &Token) -> String {
        self.set(self.session_cookie(), &token.0, SESSION_AGE)
    }

    pub(super) fn end_session(&self) -> String {
        self.set(self.session_cookie(), "", Duration::ZERO)
    }

    pub(super) fn set_form(&self, token: &Token) -> String {
        self.set(self.form_cookie(), &token.0, SESSION_AGE)
    }

    fn set(&self, name: &str, value: &str, age: Duration) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let age_seconds = age.as_secs();
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_seconds}{secure}")
    }

    fn cookie<'a>(&self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
        pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<blake3::Hash, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PasswordFile {
    fn reload_changed(&self, limits: &PeerLimits) {
        match self.watch.reload_changed(|| self.read()) {
            Some(Ok(())) => {
                limits.forget_failures();
                tracing::info!("the passwords of the page have changed");
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the passwords of the page stay as they were");
            }
            None => {}
        }
    }

    fn read(&self) -> Result<(), AuthError> {
        let passwords = Passwords::load("the passwords of the page:", &self.path)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = passwords;
        Ok(())
    }
}

/// Random hexadecimal digits.
pub(super) struct Token(String);

impl Token {
    pub(super) fn random() -> Self {
        let mut bytes = [0_u8; TOKEN_BYTES];
        // The kernel fails this only before it has gathered any randomness, which is long past when
        // a user can log in.
        let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        assert_eq!(filled, Ok(TOKEN_BYTES), "the kernel gives no random bytes");
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> blake3::Hash {
        blake3::hash(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn access(is_secure: bool) -> (tempfile::NamedTempFile, Access) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "open sesame\n").unwrap();
        let settings = PageSettings {
            password_file: Some(file.path().to_owned()),
            tls: None,
            ..PageSettings::of_test()
        };
        let access = Access::new(&settings).unwrap();
        (file, Access { is_secure, ..access })
    }

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookie).unwrap());
        headers
    }

    #[test]
    fn a_session_begins_with_the_password_and_ends_when_it_is_left() {
        let (_file, access) = access(false);
        assert!(access.check(&HeaderMap::new(), ADDRESS).is_err());
        let token = access.log_in(b"open sesame", ADDRESS).ok().unwrap();
        let with = headers(&format!("a=b; cdrlog={}; c=d", token.as_str()));
        assert!(access.check(&with, ADDRESS).is_ok());
        for wrong in ["cdrlog=", "cdrlog=00", "xcdrlog=1", "cdrlog-form=1"] {
            assert!(access.check(&headers(wrong), ADDRESS).is_err(), "{wrong}");
        }
        access.log_out(&with);
        assert!(access.check(&with, ADDRESS).is_err());
    }

    #[test]
    fn a_session_ends_with_its_password() {
        let (file, access) = access(false);
        let token = access.log_in(b"open sesame", ADDRESS).ok().unwrap();
        let with = headers(&format!("cdrlog={}", token.as_str()));
        std::fs::write(file.path(), "another password\n").unwrap();
        // The file is read once it has settled.
        (0..3).for_each(|_| access.sweep());
        assert!(access.check(&with, ADDRESS).is_err());
        assert!(access.log_in(b"another password", ADDRESS).is_ok());
    }

    #[test]
    fn cookies_are_for_this_site_and_no_script_and_over_tls_for_tls_alone() {
        let (_file, access) = access(true);
        let token = access.log_in(b"open sesame", ADDRESS).ok().unwrap();
        let cookie = access.set_session(&token);
        assert!(cookie.starts_with("__Host-cdrlog="), "{cookie}");
        for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure", "; Max-Age=43200"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let plain = Access { is_secure: false, ..access };
        assert!(!plain.set_session(&token).contains("Secure"));
    }

    #[test]
    fn wrong_passwords_of_an_address_are_not_looked_at_after_some() {
        let (_file, access) = access(false);
        let mut wrong = 0;
        while let Err(Unwelcome::Denied(_)) = access.log_in(b"guess", ADDRESS) {
            wrong += 1;
            assert!(wrong < 100);
        }
        assert!(matches!(access.log_in(b"open sesame", ADDRESS), Err(Unwelcome::Exceeded(_))));
        let another = IpAddr::from([192, 0, 2, 1]);
        assert!(access.log_in(b"open sesame", another).is_ok());
    }

    #[test]
    fn a_form_of_another_site_has_no_token_that_fits_the_cookie() {
        let (_file, access) = access(false);
        let (token, another) = (Token::random(), Token::random());
        let with = headers(&format!("cdrlog-form={}", token.as_str()));
        assert!(access.is_own_form(&with, token.as_str()));
        assert!(!access.is_own_form(&with, another.as_str()));
        assert!(!access.is_own_form(&with, ""));
        assert!(!access.is_own_form(&headers("cdrlog-form="), ""));
        assert!(!access.is_own_form(&HeaderMap::new(), token.as_str()));
    }

    #[test]
    fn sessions_are_bounded() {
        let (_file, access) = access(false);
        for _ in 0..SESSIONS_MAX + 10 {
            access.log_in(b"open sesame", ADDRESS).ok().unwrap();
        }
        assert_eq!(access.sessions().len(), SESSIONS_MAX);
    }
}
