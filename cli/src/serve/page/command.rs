//! `cdrlog ui`: the page for a directory, without the endpoint.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::super::log;
use super::super::options::{LogForm, LogLevel, Options};
use super::super::page_address::{ADDRESS_DEFAULT, PageAddress};
use super::super::settings::Limits;
use super::super::signals::{Request, Signals};
use super::super::tls::Tls;
use super::{PageServer, PageSettings};
use crate::cdr_path::{self, DirArg};
use crate::outcome::{Outcome, say};

/// Show what is going on in a directory of the CDR, on a page for a browser
///
/// The page follows the directory: the rooms that are open now, events by minute and hour, why
/// participants left, recordings, rejected bodies, past days, and every event of a room. It only
/// reads. `cdrlog serve --ui` shows the same page, with the health of the endpoint.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog ui ./cdr
  cdrlog ui --listen 0.0.0.0:8788 --password-file /etc/cdrlog-passwords ./cdr

Without --password-file and --proxy-header the page listens on a loopback address only, and answers \
only browsers of this machine that ask for a name of it.

Exit codes: 0 success; 1 failed, or the value of an option cannot be used; 2 wrong usage")]
pub(crate) struct Ui {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = ADDRESS_DEFAULT)]
    listen: PageAddress,

    /// A file with a password on each line; who looks must type one of them
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// A secret header that a proxy adds once it has let somebody in, such as "X-Page: secret".
    /// Prefer the environment: the list of processes shows the command line
    #[arg(long, value_name = "HEADER", env = "CDRLOG_UI_PROXY_HEADER", hide_env_values = true)]
    proxy_header: Option<String>,

    /// The certificate chain, PEM; with it the page speaks TLS only
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    #[command(flatten)]
    directory: DirArg,
}

impl Ui {
    pub(crate) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        log::begin(LogLevel::Info, Some(LogForm::Human));
        let directory = self.directory.into_path();
        // A typing error shows at once.
        if !cdr_path::metadata(&directory)?.is_dir() {
            return Err(format!("{} is not a directory", directory.display()).into());
        }
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Arc::new(Tls::open(certificate, key)?)),
            _ => None,
        };
        let settings = PageSettings {
            address: self.listen.0,
            directory,
            password_file: self.password_file,
            proxy_header: self.proxy_header,
            password_option: "--password-file",
            header_option: "--proxy-header",
            tls,
            allowed: Vec::new(),
            limits: Limits::new(&Options::default())?,
            has_endpoint: false,
        };
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut signals = Signals::new()?;
            let page = PageServer::start(settings.check()?, false)?;
            say(format_args!("the page is at {scheme}://{}/", page.address()));
            while signals.next().await != Request::End {}
            Ok(Outcome::Done)
        })
    }
}
