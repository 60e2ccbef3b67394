//! A real S3 server for tests: requests are signed and checked, bodies are verified, objects are files of a temporary directory.
//!
//! `s3s` speaks the protocol and checks signatures and clocks; `s3s-fs` keeps the files. What it leaves out is added here: the
//! checksums of parts, the list of unfinished uploads, errors for buckets and uploads that are not there, and pages so short that
//! a client has to ask for the next one. Nothing of a body that does not arrive as it was sent is kept.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use hyper::body::Bytes;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Crc32c;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, TrailingHeaders, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, oneshot};

/// The only user.
pub const ACCESS_KEY: &str = "AKIATIDE0000EXAMPLE1";
/// Its secret.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/secret-of-the-tests";
/// The bucket that exists.
pub const BUCKET: &str = "tide-backups";

/// Longest page of a listing.
const PAGE: i32 = 2;

/// A server that runs until it is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    root: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// On the loopback address.
    pub fn start() -> Self {
        Self::listening_on(Ipv4Addr::LOCALHOST.into())
    }

    /// On another address of this host, such as the gateway of a Docker network, which its containers reach.
    pub fn listening_on(ip: IpAddr) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(root.path().join(BUCKET)).expect("the bucket can be made");
        let disk = FileSystem::new(root.path()).expect("the directory is there");
        let mut builder =
            S3ServiceBuilder::new(Complete { disk, root: root.path().to_owned(), parts: RwLock::default() });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let (told, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
                told.send(listener.local_addr().expect("it is bound")).expect("the test waits for it");
                tokio::select! {
                    () = serve(listener, service) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the server has begun");
        Self { address, root, stop: Some(stop), thread: Some(thread) }
    }

    /// For clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file of an object, to damage it.
    pub fn file(&self, key: &str) -> PathBuf {
        self.root.path().join(BUCKET).join(key)
    }

    /// Bytes of parts and temporary files that the server still keeps beside whole objects.
    pub fn loose_parts(&self) -> usize {
        let entries = fs::read_dir(self.root.path()).expect("the directory is there").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().contains(".part")).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        // What was asked for is done to its end, also when the client goes away meanwhile.
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let answer = hyper::service::Service::call(&service, request);
            async move { tokio::spawn(answer).await.expect("no panic") }
        });
        tokio::spawn(async move {
            // A client that goes away is its own affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The files, and what they lack.
struct Complete {
    disk: FileSystem,
    root: PathBuf,
    /// Read by whoever writes a part, written by whoever aborts: no part is kept for an upload that is gone.
    parts: RwLock<()>,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = S3Result<S3Response<T>>> + Send + 'a>>;

/// The checksum of a body, once all of it is here and equals what its sender said.
async fn verified(
    body: Option<StreamingBlob>,
    said: Option<String>,
    trailers: Option<TrailingHeaders>,
) -> S3Result<(Bytes, String)> {
    let mut hasher = ChecksumHasher { crc32c: Some(Crc32c::default()), ..Default::default() };
    let mut all = Vec::new();
    let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| match error.to_string() {
            text if text.contains("mismatch") => s3_error!(BadDigest, "{}", text),
            text => s3_error!(IncompleteBody, "{}", text),
        })?;
        hasher.update(&chunk);
        all.extend_from_slice(&chunk);
    }
    let found = hasher.finalize().checksum_crc32c.expect("it was asked for");
    let name = "x-amz-checksum-crc32c";
    let trailing = trailers.and_then(|all| all.read(|all| all.get(name)?.to_str().ok().map(str::to_owned)).flatten());
    match said.or(trailing) {
        Some(said) if said == found => Ok((all.into(), found)),
        Some(_) => Err(s3_error!(BadDigest, "the CRC-32C differs")),
        None => Err(s3_error!(InvalidRequest, "these tests want a CRC-32C of every body")),
    }
}

fn blob(bytes: Bytes) -> StreamingBlob {
    StreamingBlob::from(s3s::Body::from(bytes))
}

impl Complete {
    fn bucket(&self, name: &str) -> S3Result<()> {
        if self.root.join(name).is_dir() { Ok(()) } else { Err(s3_error!(NoSuchBucket, "The bucket does not exist")) }
    }

    fn upload(&self, id: &str) -> S3Result<()> {
        let is_plain = id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let is_there = is_plain && self.root.join(format!(".upload-{id}.json")).is_file();
        if is_there { Ok(()) } else { Err(s3_error!(NoSuchUpload, "The upload does not exist")) }
    }

    fn checksum_of_part(&self, upload: &str, number: PartNumber) -> PathBuf {
        self.root.join(format!(".crc-{upload}-{number}"))
    }

    /// Every unfinished upload into a bucket, by key.
    fn uploads(&self, bucket: &str) -> std::io::Result<Vec<MultipartUpload>> {
        let begins = format!(".bucket-{}.object-", URL_SAFE_NO_PAD.encode(bucket));
        let mut uploads = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let inner = name.strip_prefix(&begins).and_then(|name| name.strip_suffix(".metadata.json"));
            let Some((key, id)) = inner.and_then(|inner| inner.split_once(".upload-")) else { continue };
            if self.upload(id).is_err() {
                continue;
            }
            let key = URL_SAFE_NO_PAD.decode(key).ok().and_then(|key| String::from_utf8(key).ok());
            uploads.push(MultipartUpload {
                key,
                upload_id: Some(id.to_owned()),
                initiated: Some(entry.metadata()?.modified()?.into()),
                ..Default::default()
            });
        }
        uploads.sort_by(|one, other| (&one.key, &one.upload_id).cmp(&(&other.key, &other.upload_id)));
        Ok(uploads)
    }

    async fn put(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.bucket(&req.input.bucket)?;
        let said = req.input.checksum_crc32c.take();
        let (bytes, checksum) = verified(req.input.body.take(), said, req.trailing_headers.take()).await?;
        req.input.content_length = i64::try_from(bytes.len()).ok();
        req.input.checksum_crc32c = Some(checksum);
        req.input.checksum_algorithm = None;
        req.input.body = Some(blob(bytes));
        let encryption = req.input.server_side_encryption.clone();
        let mut answer = self.disk.put_object(req).await?;
        answer.output.server_side_encryption = encryption;
        Ok(answer)
    }

    async fn part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.upload(&req.input.upload_id)?;
        let said = req.input.checksum_crc32c.take();
        let (bytes, checksum) = verified(req.input.body.take(), said, req.trailing_headers.take()).await?;
        let _writing = self.parts.read().await;
        self.upload(&req.input.upload_id)?;
        let path = self.checksum_of_part(&req.input.upload_id, req.input.part_number);
        fs::write(path, &checksum).map_err(|error| s3_error!(error, InternalError))?;
        req.input.body = Some(blob(bytes));
        let mut answer = self.disk.upload_part(req).await?;
        answer.output.checksum_crc32c = Some(checksum);
        Ok(answer)
    }

    async fn complete(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let id = req.input.upload_id.clone();
        self.upload(&id)?;
        for part in req.input.multipart_upload.iter().flat_map(|upload| upload.parts.iter().flatten()) {
            let path = self.checksum_of_part(&id, part.part_number.unwrap_or_default());
            if fs::read_to_string(&path).ok() != part.checksum_crc32c {
                return Err(s3_error!(InvalidPart, "a part is not what was uploaded"));
            }
            fs::remove_file(path).map_err(|error| s3_error!(error, InternalError))?;
        }
        self.disk.complete_multipart_upload(req).await
    }

    fn page_of_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        self.bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = (input.key_marker.clone(), input.upload_id_marker.clone());
        let mut uploads = self.uploads(&input.bucket).map_err(|error| s3_error!(error, InternalError))?;
        uploads.retain(|upload| upload.key.as_ref().is_some_and(|key| key.starts_with(&prefix)));
        uploads.retain(|upload| after.0.is_none() || (upload.key.clone(), upload.upload_id.clone()) > after);
        let is_truncated = uploads.len() > PAGE.unsigned_abs() as usize;
        uploads.truncate(PAGE.unsigned_abs() as usize);
        let last = uploads.last().filter(|_| is_truncated).cloned();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            is_truncated: Some(is_truncated),
            next_key_marker: last.as_ref().and_then(|last| last.key.clone()),
            next_upload_id_marker: last.and_then(|last| last.upload_id),
            uploads: Some(uploads),
            ..Default::default()
        }))
    }
}

macro_rules! answer {
    ($($name:ident($input:ident) -> $output:ident, |$this:ident, $req:ident| $answer:expr;)+) => {$(
        fn $name<'life, 'answer>(&'life self, $req: S3Request<$input>) -> Answer<'answer, $output>
        where
            'life: 'answer,
            Self: 'answer,
        {
            let $this = self;
            $answer
        }
    )+};
}

impl S3 for Complete {
    answer! {
        head_bucket(HeadBucketInput) -> HeadBucketOutput, |this, req| this.disk.head_bucket(req);
        head_object(HeadObjectInput) -> HeadObjectOutput, |this, req| this.disk.head_object(req);
        delete_object(DeleteObjectInput) -> DeleteObjectOutput, |this, req| this.disk.delete_object(req);
        put_object(PutObjectInput) -> PutObjectOutput, |this, req| Box::pin(this.put(req));
        upload_part(UploadPartInput) -> UploadPartOutput, |this, req| Box::pin(this.part(req));
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput,
            |this, req| Box::pin(this.complete(req));
        list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput,
            |this, req| Box::pin(std::future::ready(this.page_of_uploads(req)));
        get_object(GetObjectInput) -> GetObjectOutput, |this, req| Box::pin(async move {
            this.bucket(&req.input.bucket)?;
            this.disk.get_object(req).await
        });
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput, |this, req| Box::pin(async move {
            this.bucket(&req.input.bucket)?;
            this.disk.create_multipart_upload(req).await
        });
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput, |this, req| Box::pin(async move {
            let _aborting = this.parts.write().await;
            this.upload(&req.input.upload_id)?;
            this.disk.abort_multipart_upload(req).await
        });
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output, |this, req| Box::pin(async move {
            let most = req.input.max_keys.unwrap_or(PAGE).min(PAGE);
            this.disk.list_objects_v2(req.map_input(|input| ListObjectsV2Input { max_keys: Some(most), ..input })).await
        });
    }
}

/// Flips one bit of a file.
pub fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("the object is a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("it is writable");
}
