//! A bucket as a store, at Amazon or wherever S3 is spoken.
//!
//! In: keys and streams. Out: objects that the service has verified by checksum. Small ones are one request, large ones a
//! multipart upload, which is aborted when it cannot be completed. Credentials come from the SDK's standard chain (environment,
//! profile files, web identity, container, metadata service) and are never seen here.

mod body;
mod fault;
mod part;
mod upload;

use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::abort_multipart_upload::AbortMultipartUploadError;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use futures_util::future::BoxFuture;

use super::{Bytes, Doing, Fault, Leftover, Listed, Store, StoreError};
use crate::model::backup::{ObjectKey, S3Options, StoreUrl};
pub use part::Step;

/// Attempts of each request, with pauses that grow from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`], each cut short by chance: what a
/// service needs to get over a moment of load. What lasts longer is for the next run.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A service that does not take a connection for so long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For the answer to a request that carries no bulk data.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// The region that services outside Amazon sign with when nobody says otherwise.
const DEFAULT_REGION: Region = Region::from_static("us-east-1");

/// A bucket, or what lies below a prefix in one.
#[derive(Debug)]
pub struct S3 {
    client: Client,
    url: StoreUrl,
    bucket: String,
    prefix: String,
    encryption: Option<ServerSideEncryption>,
    kms_key: Option<String>,
    steps: &'static [Step],
}

impl S3 {
    /// The store in this bucket, with credentials by the standard chain. Asks the service nothing yet.
    pub async fn new(bucket: &str, prefix: &str, options: &S3Options) -> Self {
        Self::with_config(bucket, prefix, options, aws_config::defaults(BehaviorVersion::latest())).await
    }

    /// The same with a configuration of the SDK begun by the caller, such as with credentials of its own.
    pub async fn with_config(bucket: &str, prefix: &str, options: &S3Options, config: ConfigLoader) -> Self {
        let https =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let retry = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(FIRST_PAUSE)
            .with_max_backoff(LONGEST_PAUSE);
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ANSWER_TIMEOUT).build();
        let mut config = config.http_client(https).retry_config(retry).timeout_config(timeouts);
        if let Some(region) = &options.region {
            config = config.region(Region::new(region.clone()));
        } else if options.endpoint.is_some() {
            // Without the metadata service of the chain: outside Amazon it would only cost a second.
            config = config.region(
                RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                    .or_else(ProfileFileRegionProvider::new())
                    .or_else(DEFAULT_REGION),
            );
        }
        if let Some(endpoint) = &options.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let config =
            aws_sdk_s3::config::Builder::from(&config.load().await).force_path_style(options.path_style).build();
        Self {
            client: Client::from_conf(config),
            url: StoreUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() },
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            encryption: options.encryption.as_deref().map(ServerSideEncryption::from),
            kms_key: options.kms_key.clone(),
            steps: part::STEPS,
        }
    }

    /// The same with parts of other sizes; the last step has to reach part 10,000.
    #[must_use]
    pub fn with_parts(self, steps: &'static [Step]) -> Self {
        Self { steps, ..self }
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        if self.prefix.is_empty() { key.to_string() } else { format!("{}/{key}", self.prefix) }
    }

    /// The key of an object of this store; `None` for what somebody else keeps in the bucket.
    fn own_key(&self, full: &str) -> Option<ObjectKey> {
        let own = if self.prefix.is_empty() { full } else { full.strip_prefix(&self.prefix)?.strip_prefix('/')? };
        own.parse().ok()
    }

    /// What everything at or below a key begins with, and what lies beside it too.
    fn search(&self, below: Option<&ObjectKey>) -> Option<String> {
        match below {
            Some(key) => Some(self.full_key(key)),
            None if self.prefix.is_empty() => None,
            None => Some(format!("{}/", self.prefix)),
        }
    }

    fn error(&self, doing: Doing, key: Option<&ObjectKey>, fault: Fault, because: &str) -> StoreError {
        StoreError::new(doing, &self.url, key, fault, because)
    }

    fn sdk_error<E>(&self, doing: Doing, key: Option<&ObjectKey>, error: &SdkError<E>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let (fault, because) = fault::sort(error);
        self.error(doing, key, fault, &because)
    }

    async fn listed(&self, below: Option<&ObjectKey>) -> Result<Vec<Listed>, StoreError> {
        let mut objects = Vec::new();
        let request = self.client.list_objects_v2().bucket(&self.bucket).set_prefix(self.search(below));
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.sdk_error(Doing::List, below, &error))?;
            for object in page.contents() {
                let Some(key) = object.key().and_then(|full| self.own_key(full)) else { continue };
                if below.is_none_or(|below| key.is_within(below)) {
                    let bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                    objects.push(Listed { key, bytes, written: time(object.last_modified()) });
                }
            }
        }
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(objects)
    }

    async fn uploads(&self, below: Option<&ObjectKey>) -> Result<Vec<Leftover>, StoreError> {
        let mut leftovers = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = self.client.list_multipart_uploads().bucket(&self.bucket).set_prefix(self.search(below));
            let page = request.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await;
            let page = page.map_err(|error| self.sdk_error(Doing::List, below, &error))?;
            for upload in page.uploads() {
                let own = upload.key().and_then(|full| self.own_key(full));
                let (Some(key), Some(id)) = (own, upload.upload_id()) else { continue };
                if below.is_none_or(|below| key.is_within(below)) {
                    leftovers.push(Leftover { key, token: id.to_owned(), begun: time(upload.initiated()) });
                }
            }
            if page.is_truncated() != Some(true) || page.next_key_marker().is_none() {
                return Ok(leftovers);
            }
            key_marker = page.next_key_marker;
            id_marker = page.next_upload_id_marker;
        }
    }
}

impl Store for S3 {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes<'a>) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(upload::put(self, key, bytes))
    }

    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Bytes<'static>, StoreError>> {
        Box::pin(async move {
            let request = self.client.get_object().bucket(&self.bucket).key(self.full_key(key));
            let answer = request.checksum_mode(ChecksumMode::Enabled).send().await;
            let answer = answer.map_err(|error| self.sdk_error(Doing::Get, Some(key), &error))?;
            let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
            Ok(Box::pin(body::Download::new(answer.body.into_async_read(), length, &self.url, key)) as Bytes<'static>)
        })
    }

    fn list<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        Box::pin(self.listed(below))
    }

    fn remove<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let removed = self.client.delete_object().bucket(&self.bucket).key(self.full_key(key)).send().await;
            match removed.map_err(|error| (error.code() == Some("NoSuchKey"), error)) {
                Ok(_) | Err((true, _)) => Ok(()),
                Err((false, error)) => Err(self.sdk_error(Doing::Remove, Some(key), &error)),
            }
        })
    }

    fn leftovers<'a>(&'a self, below: Option<&'a ObjectKey>) -> BoxFuture<'a, Result<Vec<Leftover>, StoreError>> {
        Box::pin(self.uploads(below))
    }

    fn discard<'a>(&'a self, leftover: &'a Leftover) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.full_key(&leftover.key));
            match request.upload_id(&leftover.token).send().await {
                Ok(_) => Ok(()),
                Err(error) if error.as_service_error().is_some_and(AbortMultipartUploadError::is_no_such_upload) => {
                    Ok(())
                }
                Err(error) => Err(self.sdk_error(Doing::Remove, Some(&leftover.key), &error)),
            }
        })
    }
}

fn time(told: Option<&DateTime>) -> SystemTime {
    // What a service does not date is as young as can be, so that nothing is removed for its age.
    told.and_then(|told| SystemTime::try_from(*told).ok()).unwrap_or_else(SystemTime::now)
}
