//! Asks an agent for its metrics, as Prometheus does: for the command line, which has the same configuration.
//!
//! With TLS it trusts the certificate that the configuration names and no other: that is the agent's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::guard::{GuardError, secret};
use crate::model::desired::Guard;
use crate::secrets::certificate::TlsFault;

/// An agent answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any scrape.
const MOST_BYTES: usize = 64 << 20;

/// No scrape could be had.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or not for long.
    #[error("no agent answers at {at}")]
    Silent {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// It took too long.
    #[error("the agent at {at} does not answer within {} s", PATIENCE.as_secs())]
    Slow {
        /// Where.
        at: SocketAddr,
    },
    /// What the configuration names for it cannot be read.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// What it says is no HTTP.
    #[error("what answers at {at} is no agent")]
    Http {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: hyper::Error,
    },
    /// It refused.
    #[error("the agent at {at} answered {status}")]
    Refused {
        /// Where.
        at: SocketAddr,
        /// What it said.
        status: StatusCode,
    },
}

/// One scrape of the agent that answers at this address of the host.
pub async fn scrape(listen: SocketAddr, guard: &Guard) -> Result<String, ClientError> {
    let at = reachable(listen);
    tokio::time::timeout(PATIENCE, ask(at, guard)).await.unwrap_or(Err(ClientError::Slow { at }))
}

/// Where an address that stands for all of them is reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(at: SocketAddr, guard: &Guard) -> Result<String, ClientError> {
    let silent = |source| ClientError::Silent { at, source };
    let stream = TcpStream::connect(at).await.map_err(silent)?;
    let Some(tls) = &guard.tls else { return request(at, stream, guard).await };
    let fault = |source| {
        let (certificate, key) = (tls.certificate.clone(), tls.key.clone());
        ClientError::Guard(GuardError::Tls { certificate, key, source })
    };
    let certificate = CertificateDer::from_pem_file(&tls.certificate).map_err(|error| fault(error.into()))?;
    let config = pinned(certificate).map_err(fault)?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::IpAddress(at.ip().into()), stream).await.map_err(silent)?;
    request(at, stream, guard).await
}

async fn request<S>(at: SocketAddr, stream: S, guard: &Guard) -> Result<String, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let no_http = |source| ClientError::Http { at, source };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(no_http)?;
    let mut request = Request::builder().uri("/metrics").header(HOST, at.to_string());
    if let Some(credentials) = credentials(guard)? {
        request = request.header(AUTHORIZATION, credentials);
    }
    let request = request.body(Body::empty()).expect("its parts are valid");
    let answering = async {
        let answer = sender.send_request(request).await.map_err(no_http)?;
        if !answer.status().is_success() {
            return Err(ClientError::Refused { at, status: answer.status() });
        }
        let body = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await;
        let body = body.map_err(|error| ClientError::Silent { at, source: io::Error::other(error) })?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    };
    tokio::pin!(answering);
    tokio::select! {
        answered = &mut answering => answered,
        // It closes after its one answer, which may still be on its way to us.
        _ = connection => answering.await,
    }
}

fn credentials(guard: &Guard) -> Result<Option<String>, GuardError> {
    if let Some(path) = &guard.bearer_token_file {
        return Ok(Some(format!("Bearer {}", secret("bearer_token_file", path)?)));
    }
    let Some(basic) = &guard.basic_auth else { return Ok(None) };
    let password = secret("basic_auth.password_file", &basic.password_file)?;
    Ok(Some(format!("Basic {}", STANDARD.encode(format!("{}:{password}", basic.username)))))
}

fn pinned(certificate: CertificateDer<'static>) -> Result<ClientConfig, TlsFault> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Pinned { certificate, provider: provider.clone() };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Trusts one certificate, whoever signed it and whatever name it is for.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
