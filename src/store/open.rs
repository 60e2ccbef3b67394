//! From a store as it is configured to one that can be used.

use std::sync::Arc;

use super::disk::Disk;
use super::s3::S3;
use super::{Doing, Fault, Store, StoreError};
use crate::model::backup::{ObjectKey, StoreChoice, StoreUrl};

/// Opens a store. Touches and asks nothing yet, so that a store that is not there is an error of what is tried on it.
pub async fn open(choice: &StoreChoice) -> Result<Arc<dyn Store>, StoreError> {
    match &choice.url {
        StoreUrl::Disk(path) => Ok(Arc::new(Disk::new(path.clone()))),
        StoreUrl::S3 { bucket, prefix } => {
            if let Some(endpoint) = &choice.s3.endpoint
                && !is_endpoint(endpoint)
            {
                // It is not repeated: the usual mistake is to put a password in it.
                let because = "its endpoint is not of the form `http://host:port` or `https://host:port`";
                return Err(StoreError::new(Doing::Open, &choice.url, None, Fault::Other, because));
            }
            Ok(Arc::new(S3::new(bucket, prefix, &choice.s3).await))
        }
    }
}

/// Whether a store answers: lists what is below a key that nobody uses. Says nothing about writing.
pub async fn probe(store: &dyn Store) -> Result<(), StoreError> {
    let nobodys: ObjectKey = "hypertide-probe".parse().expect("a well-formed key");
    match store.list(Some(&nobodys)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError { doing: Doing::Open, what: store.url().to_string(), ..error }),
    }
}

fn is_endpoint(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['@', '?', '#', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::S3Options;

    #[tokio::test]
    async fn a_store_opens_as_what_its_address_says() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (url, is_there) in [("backups", true), ("nowhere/backups", false)] {
            let url = StoreUrl::Disk(dir.path().join(url));
            let store = open(&StoreChoice { url: url.clone(), s3: S3Options::default() }).await.expect("opens");
            assert_eq!(store.url(), &url);
            assert_eq!(probe(&*store).await.is_ok(), is_there, "{url}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_with_a_password_is_refused_and_not_repeated() {
        for endpoint in ["minio:9000", "http://", "http://me:secret@minio:9000"] {
            let s3 = S3Options { endpoint: Some(endpoint.to_owned()), ..S3Options::default() };
            let url: StoreUrl = "s3://bucket/prefix".parse().expect("an address");
            let error = open(&StoreChoice { url, s3 }).await.expect_err("no endpoint");
            assert!(error.to_string().starts_with("cannot open s3://bucket/prefix: its endpoint"), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
