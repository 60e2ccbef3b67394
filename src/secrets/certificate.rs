//! A server's certificate and its key, as files of PEM that fit each other. The key is shown to nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::desired::TlsFiles;
use crate::model::digest;

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// Not PEM, or nothing in it.
    #[error(transparent)]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// They do not fit.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// Both, as they stand in their files.
pub struct Pair {
    /// The certificate, and those between it and its authority.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

/// There are no such files, or they do not fit.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// One cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Certificate and key are no pair in PEM.
    #[error("cannot use the certificate {} with the key {}", certificate.display(), key.display())]
    Tls {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// Why.
        source: TlsFault,
    },
}

impl PairError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Read { path, .. } => format!("make {} readable, or take it out of hypertide.yaml", path.display()),
            Self::Tls { .. } => {
                "both have to be PEM: the certificate first, then those that signed it; a key without a password".into()
            }
        }
    }
}

impl Pair {
    /// Reads both, and sees that they fit.
    pub fn read(files: &TlsFiles) -> Result<Self, PairError> {
        let pair = Self { certificate: read(&files.certificate)?, key: read(&files.key)? };
        server(&pair.certificate, &pair.key).map_err(|source| PairError::Tls {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        })?;
        Ok(pair)
    }

    /// Tells this certificate from any other.
    pub fn digest(&self) -> String {
        digest::short(&[&self.certificate])
    }
}

/// Tells the certificate of a file from any other, without its key. The same as [`Pair::digest`].
pub fn digest_of(certificate: &Path) -> Result<String, PairError> {
    Ok(digest::short(&[&read(certificate)?]))
}

fn read(path: &Path) -> Result<Vec<u8>, PairError> {
    std::fs::read(path).map_err(|source| PairError::Read { path: path.to_owned(), source })
}

/// What a server needs that shows this certificate.
pub fn server(certificate: &[u8], key: &[u8]) -> Result<ServerConfig, TlsFault> {
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key)?;
    Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_fits_and_is_told_by_its_certificate() {
        let dir = tempfile::tempdir().expect("room");
        let made = || rcgen::generate_simple_self_signed(["db.example".to_owned()]).expect("made");
        let (one, other) = (made(), made());
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("room");
            path
        };
        let certificate = write("a.crt", &one.cert.pem());
        let key = write("a.key", &one.signing_key.serialize_pem());
        let pair = Pair::read(&TlsFiles { certificate: certificate.clone(), key }).expect("they fit");
        assert_eq!(pair.digest(), digest_of(&certificate).expect("it is there"));

        let strange = write("b.key", &other.signing_key.serialize_pem());
        let error = Pair::read(&TlsFiles { certificate: certificate.clone(), key: strange }).err().expect("no pair");
        assert!(matches!(error, PairError::Tls { .. }), "{error}");
        let error = Pair::read(&TlsFiles { certificate, key: dir.path().join("none") }).err().expect("no key");
        assert!(error.to_string().ends_with("none"), "{error}");
    }
}
