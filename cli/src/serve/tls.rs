//! The certificate of the server, replaced while it runs.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::file_watch::FileWatch;
use super::permissions::is_readable_by_others;

/// Which versions of HTTP are spoken, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate and its key, in files that can be read again.
#[derive(Debug)]
pub(super) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
    files: FileWatch,
}

/// A certificate cannot be used. The previous one stays in use.
#[derive(Debug)]
#[non_exhaustive]
pub(super) enum TlsError {
    /// A file cannot be read, or contains nothing of the kind.
    File {
        /// "certificate" or "private key".
        what: &'static str,
        path: PathBuf,
        source: pem::Error,
    },
    /// The certificate and the key are not what a server can use, or do not belong together.
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { what, path, source: pem::Error::NoItemsFound } => {
                write!(f, "{} holds no {what} in PEM", path.display())
            }
            Self::File { what, path, source } => {
                write!(f, "cannot read the {what} {}: {source}", path.display())
            }
            Self::Pair { certificate, key, source } => {
                let (certificate, key) = (certificate.display(), key.display());
                write!(f, "cannot use the certificate {certificate} with the key {key}: {source}")
            }
        }
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Pair { source, .. } => Some(source),
        }
    }
}

impl Tls {
    /// Reads a certificate chain and its private key, both PEM.
    pub(super) fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = FileWatch::new([certificate.to_owned(), key.to_owned()]);
        let current = RwLock::new(read(certificate, key)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current, files })
    }

    /// The file of the private key, if other users can read it.
    pub(super) fn exposed_key(&self) -> Option<&Path> {
        // It has just been read. What cannot be examined any more, nobody can read.
        let is_exposed = self.key.metadata().is_ok_and(|file| is_readable_by_others(&file));
        is_exposed.then_some(&self.key)
    }

    /// Reads both files again. Open connections go on as they are. After an error, the previous
    /// certificate is used.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        self.files.reload(|| self.read())
    }

    /// The same, if a file has changed since, or could not be read. The result, if it is not the
    /// failure of the last time. Blocks on files.
    pub(super) fn reload_changed(&self) -> Option<Result<(), TlsError>> {
        self.files.reload_changed(|| self.read())
    }

    fn read(&self) -> Result<(), TlsError> {
        let config = read(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// For one new connection: with the current certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let of_certificate =
        |source| TlsError::File { what: "certificate", path: certificate.to_owned(), source };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(of_certificate)?;
    if chain.is_empty() {
        return Err(of_certificate(pem::Error::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::File {
        what: "private key",
        path: key.to_owned(),
        source,
    })?;
    let mut config = config(chain, private).map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

/// TLS 1.2 and 1.3, by *ring*: named here, so that no crate can replace it through a feature.
fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;

    /// Writes a certificate for localhost to the files of `directory`.
    fn write_pair(directory: &TempDir) -> CertificateDer<'static> {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(directory.path().join("cert.pem"), pair.cert.pem()).unwrap();
        fs::write(directory.path().join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        pair.cert.der().clone()
    }

    fn open(directory: &TempDir) -> Result<Tls, TlsError> {
        Tls::open(&directory.path().join("cert.pem"), &directory.path().join("key.pem"))
    }

    /// The protocol that a client that trusts only `root` agrees on.
    async fn handshake(tls: &Tls, root: &CertificateDer<'static>) -> Option<Vec<u8>> {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec()];
        let (near, far) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from("localhost").unwrap();
        let acceptor = tls.acceptor();
        let server = tokio::spawn(async move { acceptor.accept(far).await.is_ok() });
        let stream = TlsConnector::from(Arc::new(client)).connect(name, near).await.ok()?;
        assert!(server.await.unwrap());
        stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
    }

    #[tokio::test]
    async fn a_new_certificate_is_used_after_a_reload_and_a_bad_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let first = write_pair(&directory);
        let tls = open(&directory).unwrap();
        assert_eq!(handshake(&tls, &first).await.unwrap(), b"h2");
        let second = write_pair(&directory);
        assert!(handshake(&tls, &second).await.is_none(), "it is used before it was told to");
        tls.reload().unwrap();
        assert!(handshake(&tls, &second).await.is_some());
        fs::write(directory.path().join("cert.pem"), "torn").unwrap();
        let message = tls.reload().unwrap_err().to_string();
        assert!(message.ends_with("cert.pem holds no certificate in PEM"), "{message}");
        assert!(handshake(&tls, &second).await.is_some(), "the old one is lost");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_pair(&one);
        write_pair(&other);
        let error = Tls::open(&one.path().join("cert.pem"), &other.path().join("key.pem"));
        assert!(matches!(error.unwrap_err(), TlsError::Pair { .. }));
    }

    #[test]
    fn errors_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let missing = open(&directory).unwrap_err().to_string();
        assert!(missing.contains("cannot read the certificate /"), "{missing}");
        write_pair(&directory);
        fs::write(directory.path().join("key.pem"), "").unwrap();
        let empty = open(&directory).unwrap_err().to_string();
        assert!(empty.ends_with("key.pem holds no private key in PEM"), "{empty}");
    }
}
