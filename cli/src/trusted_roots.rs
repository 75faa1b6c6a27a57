//! The certificates that clients of this program trust.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Where systems keep the certificates that they trust; `SSL_CERT_FILE` names another file.
const ROOT_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Trusts what the system trusts.
pub(crate) fn tls_config() -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|name| !name.is_empty());
    let path = match &named {
        Some(name) => Path::new(name),
        None => ROOT_FILES
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .ok_or("this machine has no file of trusted certificates: set SSL_CERT_FILE")?,
    };
    let unusable = |error| format!("cannot use the certificates of {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unusable)? {
        // Some systems have malformed roots: nobody trusts those.
        let _ = roots.add(certificate.map_err(unusable)?);
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
