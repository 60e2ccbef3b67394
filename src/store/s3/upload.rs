//! Writing an object into a bucket: one request when it is small, else a multipart upload of which two parts travel while the
//! next one is filled.
//!
//! In: a stream of unknown length. Out: its length, once the service has all of it. An upload that does not come to its end is
//! aborted, also when the future is dropped; when even that fails, it is a leftover.

use std::io::ErrorKind;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::part::{LAST, Part, PartError, step_of};
use super::{ANSWER_TIMEOUT, Doing, FIRST_PAUSE, Fault, ObjectKey, S3, StoreError};
use crate::store::Bytes;

/// Parts that travel at the same time.
const IN_FLIGHT: usize = 2;

/// A line that is slower than so many bytes a second is not worth waiting for.
const SLOWEST: u64 = 128 << 10;

/// A service may put many parts together before it answers.
const COMPLETE_TIMEOUT: Duration = Duration::from_mins(10);

/// Attempts to tidy up or to ask again after a failure, which has used its own attempts already.
const ATTEMPTS_AFTERWARDS: u32 = 3;

/// By this entry of an object's metadata a writer knows its own again.
const MARK: &str = "hypertide-put";

/// Stores a stream under a key.
pub async fn put(s3: &S3, key: &ObjectKey, mut bytes: Bytes<'_>) -> Result<u64, StoreError> {
    let step = step_of(s3.steps, 1);
    let first = read(s3, key, &mut bytes, 1).await?;
    let mark = format!("{:016x}", getrandom::u64().map_err(|error| other(s3, key, &error))?);
    if first.bytes() < step.bytes {
        return put_whole(s3, key, first, &mark).await;
    }
    let upload = Upload::begin(s3, key, &mark).await?;
    let sent = match upload.send(first, bytes).await {
        Ok((parts, size)) => upload.complete(parts, &mark).await.map(|()| size),
        Err(error) => Err(error),
    };
    upload.end(sent.is_ok()).await;
    sent
}

async fn read(s3: &S3, key: &ObjectKey, bytes: &mut Bytes<'_>, number: i32) -> Result<Part, StoreError> {
    Part::read(bytes, step_of(s3.steps, number)).await.map_err(|error| match error {
        PartError::Producer(error) => s3.error(Doing::Put, Some(key), Fault::Producer, &error.to_string()),
        PartError::Spool(error) => {
            let fault = if error.kind() == ErrorKind::StorageFull { Fault::Full } else { Fault::Other };
            let because = format!("a part cannot be kept in a temporary file: {error}");
            s3.error(Doing::Put, Some(key), fault, &because)
        }
    })
}

fn other(s3: &S3, key: &ObjectKey, error: &dyn std::fmt::Display) -> StoreError {
    s3.error(Doing::Put, Some(key), Fault::Other, &error.to_string())
}

async fn body(s3: &S3, key: &ObjectKey, part: &Part) -> Result<ByteStream, StoreError> {
    part.body().await.map_err(|error| other(s3, key, &error))
}

/// Time for one attempt to send so many bytes.
fn patience(bytes: u64) -> Builder {
    within(ANSWER_TIMEOUT + Duration::from_secs(bytes / SLOWEST))
}

fn within(attempt: Duration) -> Builder {
    Builder::new().timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build())
}

/// Fewer attempts than usual.
fn afterwards() -> Builder {
    let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS_AFTERWARDS).with_initial_backoff(FIRST_PAUSE);
    Builder::new().retry_config(retry)
}

async fn put_whole(s3: &S3, key: &ObjectKey, part: Part, mark: &str) -> Result<u64, StoreError> {
    let request = s3
        .client
        .put_object()
        .bucket(&s3.bucket)
        .key(s3.full_key(key))
        .metadata(MARK, mark)
        .checksum_algorithm(ChecksumAlgorithm::Crc32C)
        .set_server_side_encryption(s3.encryption.clone())
        .set_ssekms_key_id(s3.kms_key.clone())
        .content_length(i64::try_from(part.bytes()).map_err(|error| other(s3, key, &error))?)
        .body(body(s3, key, &part).await?);
    match request.customize().config_override(patience(part.bytes())).send().await {
        Ok(_) => Ok(part.bytes()),
        Err(error) => {
            let error = s3.sdk_error(Doing::Put, Some(key), &error);
            if is_stored(s3, key, mark, &error).await { Ok(part.bytes()) } else { Err(error) }
        }
    }
}

/// Whether an object is there although its writer was told otherwise: the answer was lost, and a further attempt found that the
/// work had been done.
async fn is_stored(s3: &S3, key: &ObjectKey, mark: &str, error: &StoreError) -> bool {
    if matches!(error.fault, Fault::ClockSkew | Fault::Full) {
        return false;
    }
    let request = s3.client.head_object().bucket(&s3.bucket).key(s3.full_key(key));
    let found = request.customize().config_override(afterwards()).send().await;
    found.is_ok_and(|found| found.metadata().and_then(|all| all.get(MARK)).is_some_and(|there| there == mark))
}

/// A multipart upload. Dropped before it has [ended](Self::end), it is aborted by a task of its own.
struct Upload<'a> {
    s3: &'a S3,
    key: &'a ObjectKey,
    id: String,
    has_ended: bool,
}

impl<'a> Upload<'a> {
    async fn begin(s3: &'a S3, key: &'a ObjectKey, mark: &str) -> Result<Self, StoreError> {
        let request = s3
            .client
            .create_multipart_upload()
            .bucket(&s3.bucket)
            .key(s3.full_key(key))
            .metadata(MARK, mark)
            .checksum_algorithm(ChecksumAlgorithm::Crc32C)
            .set_server_side_encryption(s3.encryption.clone())
            .set_ssekms_key_id(s3.kms_key.clone());
        let begun = request.send().await.map_err(|error| s3.sdk_error(Doing::Put, Some(key), &error))?;
        let id = begun.upload_id.ok_or_else(|| other(s3, key, &"the service named no upload"))?;
        Ok(Self { s3, key, id, has_ended: false })
    }

    /// Sends all parts and tells them and their size.
    async fn send(&self, first: Part, mut bytes: Bytes<'_>) -> Result<(Vec<CompletedPart>, u64), StoreError> {
        let mut size = first.bytes();
        let mut sent = Vec::new();
        let mut travelling = FuturesUnordered::new();
        travelling.push(self.send_part(1, first));
        for number in 2.. {
            let part = if number <= LAST {
                let next = read(self.s3, self.key, &mut bytes, number);
                tokio::pin!(next);
                loop {
                    tokio::select! {
                        part = &mut next => break part?,
                        Some(done) = travelling.next() => sent.push(done?),
                    }
                }
            } else {
                return Err(other(self.s3, self.key, &"the object is larger than S3 takes"));
            };
            if part.bytes() == 0 {
                break;
            }
            size += part.bytes();
            while travelling.len() >= IN_FLIGHT {
                sent.extend(travelling.next().await.transpose()?);
            }
            travelling.push(self.send_part(number, part));
        }
        while let Some(done) = travelling.next().await {
            sent.push(done?);
        }
        sent.sort_by_key(CompletedPart::part_number);
        Ok((sent, size))
    }

    async fn send_part(&self, number: i32, part: Part) -> Result<CompletedPart, StoreError> {
        let request = self
            .s3
            .client
            .upload_part()
            .bucket(&self.s3.bucket)
            .key(self.s3.full_key(self.key))
            .upload_id(&self.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32C)
            .content_length(i64::try_from(part.bytes()).map_err(|error| other(self.s3, self.key, &error))?)
            .body(body(self.s3, self.key, &part).await?);
        let sent = request.customize().config_override(patience(part.bytes())).send().await;
        let sent = sent.map_err(|error| self.s3.sdk_error(Doing::Put, Some(self.key), &error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32_c(sent.checksum_crc32_c)
            .build())
    }

    async fn complete(&self, parts: Vec<CompletedPart>, mark: &str) -> Result<(), StoreError> {
        let request = self
            .s3
            .client
            .complete_multipart_upload()
            .bucket(&self.s3.bucket)
            .key(self.s3.full_key(self.key))
            .upload_id(&self.id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        match request.customize().config_override(within(COMPLETE_TIMEOUT)).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = self.s3.sdk_error(Doing::Put, Some(self.key), &error);
                if is_stored(self.s3, self.key, mark, &error).await { Ok(()) } else { Err(error) }
            }
        }
    }

    /// The last thing that is done with it: nothing when all of it is stored, else it is aborted.
    async fn end(mut self, is_stored: bool) {
        if !is_stored {
            self.abort().await;
        }
        self.has_ended = true;
    }

    fn abort(&self) -> impl Future<Output = ()> + use<> {
        let request = self.s3.client.abort_multipart_upload().bucket(&self.s3.bucket).key(self.s3.full_key(self.key));
        let request = request.upload_id(&self.id).customize().config_override(afterwards());
        let what = format!("{}/{}", self.s3.url, self.key);
        async move {
            if let Err(error) = request.send().await {
                let (_, because) = super::fault::sort(&error);
                tracing::warn!("cannot abort the upload of {what}: {because}; it is discarded with other leftovers");
            }
        }
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if !self.has_ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(self.abort());
        }
    }
}
