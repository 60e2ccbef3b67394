//! Who may ask, and how what is answered is kept from others on the way: passwords, a token, and TLS.
//!
//! In: the names of files, read once when the agent begins. Out: whether a request is let in, and connections that are encrypted. No
//! secret is shown, logged or compared in a time that depends on it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_rustls::TlsAcceptor;

use super::routes;
use crate::model::desired;
use crate::secrets::certificate::{self, TlsFault};

/// The path that answers everybody: a probe needs no secret, and the answer is one word.
const OPEN: &str = "/livez";

/// What is checked of each request, and what connections are encrypted with. Cheap to clone.
#[derive(Clone, Default)]
pub struct Guard {
    /// Encrypts; `None`: nothing is encrypted.
    pub tls: Option<TlsAcceptor>,
    keys: Vec<Key>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes: Vec<&str> = self.keys.iter().map(|key| key.scheme).collect();
        write!(f, "Guard({schemes:?}, {})", if self.tls.is_some() { "TLS" } else { "no TLS" })
    }
}

/// What lets a request in: the hash of what has to follow the scheme's name.
#[derive(Clone)]
struct Key {
    scheme: &'static str,
    hash: [u8; 32],
}

/// The files are not what they have to be.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// One cannot be read.
    #[error("cannot read {} of `metrics.{key}`", path.display())]
    Read {
        /// The key that names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret is empty.
    #[error("{} of `metrics.{key}` holds no secret", path.display())]
    Empty {
        /// The key that names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// Certificate and key are no pair in PEM.
    #[error("cannot use the certificate {} with the key {}", certificate.display(), key.display())]
    Tls {
        /// The certificate, and those between it and its authority.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// Why.
        source: TlsFault,
    },
}

impl GuardError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Read { path, .. } => format!("make {} readable, or take it out of hypertide.yaml", path.display()),
            Self::Empty { path, .. } => format!("write the secret into {}, in one line", path.display()),
            Self::Tls { .. } => {
                "both have to be PEM: the certificate first, then those that signed it; a key without a password".into()
            }
        }
    }
}

impl Guard {
    /// Reads what the configuration names.
    pub fn open(wanted: &desired::Guard) -> Result<Self, GuardError> {
        let mut guard = Self::default();
        if let Some(basic) = &wanted.basic_auth {
            let password = secret("basic_auth.password_file", &basic.password_file)?;
            guard.add("Basic", &STANDARD.encode(format!("{}:{password}", basic.username)));
        }
        if let Some(path) = &wanted.bearer_token_file {
            guard.add("Bearer", &secret("bearer_token_file", path)?);
        }
        if let Some(tls) = &wanted.tls {
            let (certificate, key) = (read("tls.certificate", &tls.certificate)?, read("tls.key", &tls.key)?);
            let acceptor = acceptor(&certificate, &key).map_err(|source| GuardError::Tls {
                certificate: tls.certificate.clone(),
                key: tls.key.clone(),
                source,
            })?;
            guard.tls = Some(acceptor);
        }
        Ok(guard)
    }

    fn add(&mut self, scheme: &'static str, credentials: &str) {
        self.keys.push(Key { scheme, hash: Sha256::digest(credentials).into() });
    }

    /// Whether these credentials let a request in; all do where none are asked for.
    fn admits(&self, authorization: Option<&HeaderValue>) -> bool {
        if self.keys.is_empty() {
            return true;
        }
        let Some((scheme, credentials)) = authorization.and_then(|value| value.to_str().ok()?.split_once(' ')) else {
            return false;
        };
        let hash: [u8; 32] = Sha256::digest(credentials.trim()).into();
        let fits = |key: &Key| key.scheme.eq_ignore_ascii_case(scheme) && bool::from(key.hash.ct_eq(&hash));
        self.keys.iter().any(fits)
    }
}

/// Lets a request through, or says what it lacks.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if request.uri().path() == OPEN || guard.admits(request.headers().get(AUTHORIZATION)) {
        return next.run(request).await;
    }
    let mut refused = routes::error(StatusCode::UNAUTHORIZED, "this agent answers only those who say who they are");
    for key in &guard.keys {
        let challenge = if key.scheme == "Basic" { "Basic realm=\"hypertide\", charset=\"UTF-8\"" } else { "Bearer" };
        refused.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    refused
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, GuardError> {
    std::fs::read(path).map_err(|source| GuardError::Read { key, path: path.to_owned(), source })
}

/// The secret of a file; the end of its line does not count.
pub fn secret(key: &'static str, path: &Path) -> Result<String, GuardError> {
    let bytes = read(key, path)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(GuardError::Empty { key, path: path.to_owned() }) } else { Ok(text.to_owned()) }
}

fn acceptor(certificate: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsFault> {
    let mut config = certificate::server(certificate, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("room");
        path
    }

    #[test]
    fn only_what_was_agreed_lets_a_request_in() {
        let dir = tempfile::tempdir().expect("room");
        let password_file = write(dir.path(), "password", "s3cret pass\n");
        let wanted = desired::Guard {
            basic_auth: Some(desired::BasicAuth { username: "prometheus".into(), password_file }),
            bearer_token_file: Some(write(dir.path(), "token", "t0ken\r\n")),
            tls: None,
        };
        let guard = Guard::open(&wanted).expect("readable");
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (header, is_in) in [
            (Some(basic("prometheus:s3cret pass")), true),
            (Some(basic("prometheus:s3cret pass").replace("Basic", "basic")), true),
            (Some("Bearer t0ken".to_owned()), true),
            (Some(basic("prometheus:s3cret")), false),
            (Some(basic("root:s3cret pass")), false),
            (Some("Bearer t0ke".to_owned()), false),
            (Some("Bearer ".to_owned()), false),
            (Some("Basic t0ken".to_owned()), false),
            (Some(format!("Bearer {}", STANDARD.encode("prometheus:s3cret pass"))), false),
            (Some("t0ken".to_owned()), false),
            (Some(String::new()), false),
            (None, false),
        ] {
            let value = header.as_ref().map(|text| HeaderValue::from_str(text).expect("plain"));
            assert_eq!(guard.admits(value.as_ref()), is_in, "{header:?}");
        }
        assert!(Guard::default().admits(None), "nobody is asked where nothing was agreed");
        let shown = format!("{guard:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn files_that_will_not_do_are_told_before_anybody_is_answered() {
        let dir = tempfile::tempdir().expect("room");
        let bearer =
            |path: &Path| desired::Guard { bearer_token_file: Some(path.to_owned()), ..desired::Guard::default() };
        let missing = dir.path().join("missing");
        let error = Guard::open(&bearer(&missing)).expect_err("it is not there");
        assert_eq!(error.to_string(), format!("cannot read {} of `metrics.bearer_token_file`", missing.display()));
        let empty = write(dir.path(), "empty", "\n");
        let error = Guard::open(&bearer(&empty)).expect_err("nothing is in it");
        assert_eq!(error.to_string(), format!("{} of `metrics.bearer_token_file` holds no secret", empty.display()));
        assert!(error.help().contains("in one line"));

        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let certificate = write(dir.path(), "agent.crt", &pair.cert.pem());
        for (text, is_good) in [
            (pair.signing_key.serialize_pem(), true),
            (other.signing_key.serialize_pem(), false),
            ("no key".to_owned(), false),
        ] {
            let key = write(dir.path(), "agent.key", &text);
            let tls = Some(desired::TlsFiles { certificate: certificate.clone(), key });
            let opened = Guard::open(&desired::Guard { tls, ..desired::Guard::default() });
            assert_eq!(opened.as_ref().is_ok_and(|guard| guard.tls.is_some()), is_good, "{opened:?}");
        }
    }
}
