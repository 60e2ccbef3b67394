//! A store of one test's own, a directory or a bucket on a real S3 server, and the program run upon it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::server::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use crate::world::{HYPERTIDE, Run, World};

/// Rows that zstd cannot make smaller, in three chunks: 12 MiB, which is an upload in parts.
const STOCK: &str = "create extension if not exists timescaledb;
create schema shop;
create table shop.events (at timestamptz not null, body bytea not null);
select create_hypertable('shop.events', by_range('at', interval '1 day'));
create table shop.kinds (id integer primary key, name text not null);
insert into shop.kinds select n, 'kind ' || n from generate_series(1, 100) n;
insert into shop.events
select timestamptz '2024-01-01 00:00+00' + n * interval '21 seconds',
  (select string_agg(sha512((n + m / 100.0 + random())::text::bytea), '') from generate_series(1, 16) m)
from generate_series(1, 3 * 24 * 60 * 60 / 21 - 1) n;";

/// Makes a database of one test's own in the shared cluster, and a configuration that names it, in this directory.
pub fn stocked(world: &World, name: &str, directory: &Path) -> PathBuf {
    world.sql("primary", &format!("create database {name}"));
    world.ok(&["psql", "primary", "--", "-AtqX", "-v", "ON_ERROR_STOP=1", "-d", name, "-c", STOCK]);
    let config = directory.join("hypertide.yaml");
    let text = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(&config, format!("{text}\ndatabase: {name}\n")).unwrap();
    config
}

/// The store, and the directory of its files.
pub struct Shelf {
    dir: tempfile::TempDir,
    root: Option<PathBuf>,
    server: Option<Server>,
    /// Where the bucket is reached, when not at the server itself.
    pub endpoint: Option<String>,
    /// The configuration that the program is run with.
    pub config: PathBuf,
}

impl Shelf {
    /// A directory.
    pub fn disk(config: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, root: None, server: None, endpoint: None, config: config.to_owned() }
    }

    /// A directory in this one, which is somebody else's to remove.
    pub fn within(config: &Path, directory: &Path) -> Self {
        Self { root: Some(directory.join("store")), ..Self::disk(config) }
    }

    /// A bucket.
    pub fn bucket(config: &Path) -> Self {
        Self { server: Some(Server::start()), ..Self::disk(config) }
    }

    /// The server of a bucket.
    pub fn address(&self) -> SocketAddr {
        self.server.as_ref().expect("a bucket has one").address
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        if self.server.is_some() { "s3" } else { "file" }
    }

    fn url(&self) -> String {
        match self.server {
            Some(_) => format!("s3://{BUCKET}/some/prefix"),
            None => format!("file://{}", self.root().display()),
        }
    }

    /// Where the files of objects are.
    pub fn root(&self) -> PathBuf {
        let own = || self.root.clone().unwrap_or_else(|| self.dir.path().join("store"));
        self.server.as_ref().map_or_else(own, |server| server.file("some/prefix"))
    }

    /// The program on this store: `backup run`, `restore` and so on, with `--json`.
    pub fn command(&self, world: &World, args: &[&str]) -> Command {
        let mut command = Command::new(HYPERTIDE);
        command.args(["--json", "--config"]).arg(&self.config).arg("--state-dir").arg(world.state_dir());
        command.args(args).args(["--store", &self.url()]).current_dir(world.dir.path()).stdin(Stdio::null());
        if let Some(server) = &self.server {
            let endpoint = self.endpoint.clone().unwrap_or_else(|| server.endpoint());
            command.args(["--s3-endpoint", &endpoint, "--s3-path-style", "--s3-region", "us-east-1"]);
            command.envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]);
            command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_PROFILE");
        }
        command
    }

    /// Runs the program.
    pub fn run(&self, world: &World, args: &[&str]) -> Run {
        Run::of(&self.command(world, args).output().unwrap())
    }

    /// Runs the program and insists on success.
    pub fn good(&self, world: &World, args: &[&str]) -> Value {
        let run = self.run(world, args);
        assert_eq!(run.code, 0, "{}: {args:?}\n{}{}", self.name(), run.stdout, run.stderr);
        run.json()
    }

    /// Every file below the store, and what the server keeps of unfinished uploads beside it.
    pub fn files(&self) -> Vec<String> {
        let (root, mut files) = (self.root(), Vec::new());
        walk(&root, &mut |path| files.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned()));
        let loose = self.server.as_ref().map_or(0, Server::loose_parts);
        files.extend((0..loose).map(|number| format!("loose part {number}")));
        files.sort();
        files
    }
}

fn walk(directory: &Path, told: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, told) } else { told(&path) }
    }
}
