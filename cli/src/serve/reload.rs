//! Certificates and credentials are read again: on SIGHUP, which also begins new files, and when
//! their files have changed.
//!
//! Reading may take as long as a network file system likes. Meanwhile nothing here holds the server,
//! so that it can end or be handed over.

use std::sync::{Arc, Weak};

use super::file_watch::LOOK_INTERVAL;
use super::gate::Gate;
use super::notify;
use super::server_context::ServerContext;
use super::tls::Tls;

/// What is read again.
#[derive(Clone, Debug)]
struct Secrets {
    gate: Arc<Gate>,
    tls: Option<Arc<Tls>>,
}

impl Secrets {
    fn of(shared: &ServerContext) -> Self {
        Self { gate: shared.gate.clone(), tls: shared.tls.clone() }
    }

    fn reload(&self) {
        if let Err(error) = self.gate.reload() {
            tracing::error!(%error, "the credentials stay as they were");
        }
        if let Some(tls) = &self.tls
            && let Err(error) = tls.reload()
        {
            tracing::error!(%error, "the certificate stays as it was");
        }
    }

    /// Whether there are other credentials.
    fn reload_changed(&self) -> bool {
        let credentials = self.gate.reload_changed();
        match &credentials {
            Some(Ok(())) => {
                tracing::info!(auth = self.gate.methods(), "the credentials have changed");
            }
            Some(Err(error)) => tracing::error!(%error, "the credentials stay as they were"),
            None => {}
        }
        match self.tls.as_ref().and_then(|tls| tls.reload_changed()) {
            Some(Ok(())) => tracing::info!("the certificate has changed"),
            Some(Err(error)) => tracing::error!(%error, "the certificate stays as it was"),
            None => {}
        }
        matches!(credentials, Some(Ok(())))
    }
}

/// Reads certificates and credentials again, and begins new files. What fails is logged, and the
/// rest is done.
pub(super) fn reload(shared: &Arc<ServerContext>) -> impl Future<Output = ()> + use<> {
    let (secrets, server) = (Secrets::of(shared), Arc::downgrade(shared));
    async move {
        notify::reloading().await;
        if let Err(error) = tokio::task::spawn_blocking(move || secrets.reload()).await {
            tracing::error!(%error, "could not read certificates and credentials");
        }
        if let Err(error) = tokio::task::spawn_blocking(move || rotate(&server)).await {
            tracing::error!(%error, "could not begin new files");
        }
        notify::ready();
    }
}

/// There is nothing to do for a server that has ended meanwhile.
fn rotate(server: &Weak<ServerContext>) {
    let Some(shared) = server.upgrade() else { return };
    shared.peer_limits.forget_failures();
    match shared.appender.rotate() {
        Ok(()) => {
            let path = shared.appender.cdr_path();
            tracing::info!(cdr = %path.display(), auth = shared.gate.methods(), "reloaded");
        }
        Err(error) => tracing::warn!(%error, "no new files could be begun"),
    }
}

/// Reads certificates and credentials again as soon as their files have changed.
pub(super) fn reload_changed(shared: &Arc<ServerContext>) -> impl Future<Output = ()> + use<> {
    let (secrets, server) = (Secrets::of(shared), Arc::downgrade(shared));
    async move {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            looks.tick().await;
            let secrets = secrets.clone();
            let looked = tokio::task::spawn_blocking(move || secrets.reload_changed()).await;
            match looked {
                Ok(true) => {
                    if let Some(shared) = server.upgrade() {
                        shared.peer_limits.forget_failures();
                    }
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "could not look at certificates and credentials");
                }
            }
        }
    }
}
