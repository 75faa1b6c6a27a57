//! Certificates of servers that are not trusted.

#[cfg(any(feature = "postgres", feature = "s3"))]
use std::error::Error;
#[cfg(any(feature = "postgres", feature = "s3"))]
use std::io;

use tokio_rustls::rustls::CertificateError;
#[cfg(any(feature = "postgres", feature = "s3"))]
use tokio_rustls::rustls::Error as TlsError;

/// Whether it was trusted yesterday perhaps, or will be tomorrow: certificates are renewed, and a clock
/// may be wrong.
pub(super) const fn is_of_another_time(fault: &CertificateError) -> bool {
    matches!(
        fault,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// What to do, if an error is about the certificate of a server.
#[cfg(any(feature = "postgres", feature = "s3"))]
pub(super) fn way_out(error: &(dyn Error + 'static)) -> Option<&'static str> {
    // An error of I/O is not the source of what it was made of, but holds it.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let tls = match held {
        Some(held) => held.downcast_ref::<TlsError>(),
        None => error.downcast_ref::<TlsError>(),
    };
    match tls {
        Some(TlsError::InvalidCertificate(fault)) if is_of_another_time(fault) => {
            Some("renew the certificate of the server, or set the clock")
        }
        Some(TlsError::InvalidCertificate(_)) => {
            Some("name its authority with SSL_CERT_FILE, and the server as its certificate does")
        }
        _ => error.source().and_then(way_out),
    }
}

#[cfg(all(test, any(feature = "postgres", feature = "s3")))]
mod tests {
    use super::*;

    #[test]
    fn an_expired_certificate_is_renewed_and_one_of_an_unknown_authority_is_named() {
        let way_out = |fault| {
            let error = io::Error::other(TlsError::InvalidCertificate(fault));
            way_out(&error).unwrap()
        };
        for fault in [CertificateError::Expired, CertificateError::NotValidYet] {
            assert!(way_out(fault).contains("renew the certificate"));
        }
        for fault in [CertificateError::UnknownIssuer, CertificateError::NotValidForName] {
            assert!(way_out(fault).contains("SSL_CERT_FILE"));
        }
        let other = io::Error::other("the certificate of a film");
        assert_eq!(super::way_out(&other), None);
    }
}
