//! Who is let in: by credentials, which are replaced while the server runs, or without any by the
//! sites.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hyper::header::{HeaderMap, WWW_AUTHENTICATE};
use hyper::{StatusCode, Uri};

use super::auth::{Auth, AuthError, BodyCheck, Denied, Sources};
use super::file_watch::FileWatch;
use super::listen::ListenAddress;
use super::options::Options;
use super::permissions;
use super::refusals::Refusal;
use super::response::{self, Response};
use super::site::{Site, WaysOut};

const WAYS_OUT: WaysOut = WaysOut {
    of_foreign_host: "give the server credentials, or --no-auth",
    of_foreign_origin: "give the server credentials",
};

/// The credentials, and where they were read from.
#[derive(Debug)]
pub(super) struct Gate {
    options: Options,
    current: RwLock<Arc<Auth>>,
    /// The files of the credentials.
    files: FileWatch,
    /// Nobody needs credentials.
    is_open: AtomicBool,
    /// What a server without credentials answers.
    site: Site,
}

impl Gate {
    /// Reads the credentials. Without any, the server is only for programs on the same machine,
    /// unless the options say otherwise. `exposed` is an address at which programs on other
    /// machines may reach the server, if there is one.
    pub(super) fn new(
        options: &Options,
        exposed: Option<&ListenAddress>,
    ) -> Result<Self, Box<dyn Error>> {
        let files = FileWatch::new(
            [&options.header_file, &options.livekit_key_file, &options.meet_key_file]
                .into_iter()
                .flatten()
                .cloned(),
        );
        let auth = load(options)?;
        let no_auth = options.no_auth.unwrap_or_default();
        if auth.is_open()
            && !no_auth
            && let Some(address) = exposed
        {
            return Err(format!(
                "{address} can be reached by others: say what a request must have (--header, --header-file, \
                 --livekit-key-file, --meet-key-file), or --no-auth to let everybody post and read"
            )
            .into());
        }
        if no_auth && !auth.is_open() {
            return Err(
                "--no-auth lets everybody in, and credentials are given too: leave one out".into(),
            );
        }
        check_metrics(options, &auth)?;
        warn_of_exposed(&auth);
        let is_open = AtomicBool::new(auth.is_open());
        let site = if no_auth { Site::Any } else { Site::Loopback };
        Ok(Self {
            options: options.clone(),
            current: RwLock::new(Arc::new(auth)),
            files,
            is_open,
            site,
        })
    }

    /// Reads the credentials again. If that fails, the previous ones stay.
    pub(super) fn reload(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.files.reload(|| self.read())
    }

    /// The same, if the files have changed since, or could not be read. The result, if it is not
    /// the failure of the last time. Blocks on files.
    pub(super) fn reload_changed(&self) -> Option<Result<(), Box<dyn Error + Send + Sync>>> {
        self.files.reload_changed(|| self.read())
    }

    fn read(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let auth = load(&self.options)?;
        if auth.is_open() && !self.is_open.load(Ordering::Relaxed) {
            return Err("there are no credentials any more".into());
        }
        check_metrics(&self.options, &auth)?;
        warn_of_exposed(&auth);
        self.is_open.store(auth.is_open(), Ordering::Relaxed);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(auth);
        Ok(())
    }

    /// The required methods, for the log.
    pub(super) fn methods(&self) -> String {
        let methods = self.current().methods();
        if methods.is_empty() { "none".to_owned() } else { methods.join(", ") }
    }

    /// Refuses what a web page makes a browser send, if no credentials are required.
    pub(super) fn check_site(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.is_open.load(Ordering::Relaxed) {
            self.site.check(uri, headers, WAYS_OUT)
        } else {
            Ok(())
        }
    }

    /// Checks what the headers alone can prove. `None`: there is nothing to check.
    pub(super) fn check_headers(&self, headers: &HeaderMap) -> Result<Option<BodyCheck>, Denied> {
        if self.is_open.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.current().check_headers(headers).map(Some)
    }

    /// The answer to somebody who is not let in.
    pub(super) fn refuse(&self, denied: Denied) -> Response {
        let status = denied.status();
        let mut response = response::error(status, denied.reason());
        if status == StatusCode::UNAUTHORIZED {
            for challenge in self.current().challenges() {
                response.headers_mut().append(WWW_AUTHENTICATE, challenge);
            }
        }
        denied.refusal().mark(response)
    }

    fn current(&self) -> Arc<Auth> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Prometheus sends headers, and signs nothing.
fn check_metrics(options: &Options, auth: &Auth) -> Result<(), &'static str> {
    if options.metrics_auth.unwrap_or_default() && !auth.has_header() {
        return Err(
            "--metrics-auth needs a header that GET /metrics can have: give --header or --header-file",
        );
    }
    Ok(())
}

fn warn_of_exposed(auth: &Auth) {
    auth.exposed_files().iter().for_each(|path| permissions::warn(path));
}

fn load(options: &Options) -> Result<Auth, AuthError> {
    Auth::load(&Sources {
        headers: &options.header,
        header_file: options.header_file.as_deref(),
        livekit_key_file: options.livekit_key_file.as_deref(),
        meet_key_file: options.meet_key_file.as_deref(),
    })
}
