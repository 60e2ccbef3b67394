//! JSON for a web service of somebody else's, as the body of a POST. One attempt; whoever posts decides what comes of a failure.
//!
//! An address is a secret beyond its host: its path may hold a token. Errors name the host alone.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::error::in_one_line;

/// It did not take the message.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It could not be reached.
    #[error("cannot post to {host}: {because}")]
    Post {
        /// Its host.
        host: String,
        /// Why not.
        because: String,
    },
    /// It refused.
    #[error("{host} answered {status}")]
    Refused {
        /// Its host.
        host: String,
        /// What it said.
        status: StatusCode,
    },
}

/// An address without its path.
pub fn host(url: &str) -> String {
    url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned()
}

/// Posts once. Has no time limit of its own.
pub async fn post(url: &str, body: &str) -> Result<(), WebhookError> {
    let host = host(url);
    let failed = |error: &dyn std::error::Error| WebhookError::Post { host: host.clone(), because: in_one_line(error) };
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| failed(&error))?
        .https_or_http()
        .enable_http1()
        .build();
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("hypertide/", env!("CARGO_PKG_VERSION")))
        .body(Body::from(body.to_owned()))
        .map_err(|error| failed(&error))?;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(https);
    let answer = client.request(request).await.map_err(|error| failed(&error))?;
    if answer.status().is_success() { Ok(()) } else { Err(WebhookError::Refused { host, status: answer.status() }) }
}
