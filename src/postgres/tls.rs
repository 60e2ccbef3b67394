//! TLS to servers that are no nodes of ours, in libpq's words (<https://www.postgresql.org/docs/17/libpq-ssl.html>).
//!
//! In: `sslmode` and `sslrootcert`. Out: how to connect, and the same for PostgreSQL's own programs. Nothing here opens a connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::model::tls_mode::TlsMode;

/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Tls {
    mode: TlsMode,
    /// Who is trusted to sign; empty where nobody is asked.
    trusted: Vec<CertificateDer<'static>>,
    verifier: Arc<Verifier>,
}

/// Nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is no list of certificates.
    #[error("cannot read certificates from {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: pem::Error,
    },
    /// The system has none that can be read.
    #[error("this system has no certificates of trusted authorities{}", because.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    System {
        /// Why not.
        because: Option<String>,
    },
    /// There are none, or none of them is an authority's.
    #[error("no certificate to trust")]
    Unusable(#[from] VerifierBuilderError),
}

impl Tls {
    /// No encryption.
    pub fn none() -> Self {
        Self { mode: TlsMode::Disable, trusted: Vec::new(), verifier: Arc::new(Verifier::new(TlsMode::Disable, None)) }
    }

    /// Encryption where the other side has it, whoever it is.
    pub fn encrypted() -> Self {
        Self { mode: TlsMode::Prefer, ..Self::none() }
    }

    /// As libpq understands it: `require` verifies as well where certificates are named. `roots` is a file of them; without one
    /// the system's are trusted.
    pub fn new(mode: TlsMode, roots: Option<&Path>) -> Result<Self, TlsError> {
        let mode = if mode == TlsMode::Require && roots.is_some() { TlsMode::VerifyCa } else { mode };
        let trusted = match (mode, roots) {
            (TlsMode::Disable | TlsMode::Prefer | TlsMode::Require, _) => return Ok(Self { mode, ..Self::none() }),
            (TlsMode::VerifyCa | TlsMode::VerifyFull, Some(path)) => of_file(path)?,
            (TlsMode::VerifyCa | TlsMode::VerifyFull, None) => of_system()?,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Self { mode, trusted, verifier: Arc::new(Verifier::new(mode, Some(authorities))) })
    }

    /// What is asked.
    pub fn mode(&self) -> TlsMode {
        self.mode
    }

    /// What tokio-postgres has to insist on; certificates are the connector's matter.
    pub fn ssl_mode(&self) -> SslMode {
        match self.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        }
    }

    /// Those who are trusted, as a file of PEM; `None` where nobody is asked.
    pub fn pem(&self) -> Option<String> {
        (!self.trusted.is_empty()).then(|| self.trusted.iter().map(|certificate| to_pem(certificate)).collect())
    }

    /// For tokio-postgres.
    pub fn connector(&self) -> MakeRustlsConnect {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has the suites of TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(self.verifier.clone())
            .with_no_client_auth();
        MakeRustlsConnect::new(config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

fn of_system() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(TlsError::System { because: found.errors.first().map(ToString::to_string) });
    }
    Ok(found.certs)
}

fn to_pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> =
        (0..text.len()).step_by(PEM_LINE).map(|at| &text[at..text.len().min(at + PEM_LINE)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Believes what the mode says it may. That the other side has the key of its certificate is always checked.
#[derive(Debug)]
struct Verifier {
    mode: TlsMode,
    /// `None`: everybody is believed.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(mode: TlsMode, authorities: Option<Arc<WebPkiServerVerifier>>) -> Self {
        Self { mode, authorities, provider: provider() }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Names are looked at when the signature is found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.mode == TlsMode::VerifyCa => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_written_as_they_were_read() {
        let bytes: Vec<u8> = (0..200).collect();
        let text = to_pem(&bytes);
        assert!(text.lines().all(|line| line.len() <= PEM_LINE));
        let read: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).map(|one| one.expect("PEM")).collect();
        assert_eq!(read, [CertificateDer::from(bytes)]);
    }

    #[test]
    fn a_file_without_certificates_is_no_authority() {
        let dir = tempfile::tempdir().expect("room");
        let path = dir.path().join("roots.pem");
        assert!(matches!(Tls::new(TlsMode::VerifyCa, Some(&path)), Err(TlsError::File { .. })));
        std::fs::write(&path, "nothing\n").expect("room");
        assert!(matches!(Tls::new(TlsMode::VerifyFull, Some(&path)), Err(TlsError::Unusable(_))));
        // As with libpq, naming certificates means having them verified.
        assert!(Tls::new(TlsMode::Require, Some(&path)).is_err());
        assert_eq!(Tls::new(TlsMode::Prefer, Some(&path)).expect("nobody is asked").pem(), None);
    }
}
