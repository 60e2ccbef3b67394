//! Stores as they are: a bucket on a server that speaks S3, a directory on a disk that is full, and writers that are killed.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

use hypertide::model::backup::ObjectKey;
use hypertide::store::{Bytes, Fault, Store};

#[path = "../src/store/contract.rs"]
mod contract;

#[path = "s3/server.rs"]
#[allow(dead_code)]
mod server;

#[path = "s3/faults.rs"]
#[allow(dead_code)]
mod faults;

#[path = "store/bucket.rs"]
mod bucket;

#[path = "store/disk.rs"]
mod disk;
