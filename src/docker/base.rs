//! Makes `debian:trixie-slim` out of a Debian mirror, for hosts that no image registry answers.
//!
//! In: the engine, and the mirror the host itself uses. Out: the image, imported through the API from a tree that
//! debootstrap made in a temporary directory. It checks the archive's signature, needs root, leaves nothing behind on
//! the host but debootstrap itself, and never replaces packages of the host.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::docker::image::{ImageError, KIND_LABEL, PATIENCE_SECS, Tail};

mod command;
mod mirror;
mod tree;

/// The image it makes, under the name the public one has.
pub const REFERENCE: &str = "debian:trixie-slim";

const REPOSITORY: &str = "debian";
const TAG: &str = "trixie-slim";
const SUITE: &str = "trixie";

/// What debootstrap checks the archive's signature against; from the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// On disk and without `nodev`, which debootstrap needs and `/tmp` often lacks.
const WORKSHOP: &str = "/var/tmp";

/// How much of the tree is in memory at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Makes the image and imports it. Takes half a minute and 300 MB below `/var/tmp`, given back at the end.
pub async fn make(docker: &Docker, report: &dyn Fn(String)) -> Result<(), ImageError> {
    let uid = rustix::process::geteuid();
    if !uid.is_root() {
        return Err(ImageError::NotRoot { reference: REFERENCE.to_owned(), uid: uid.as_raw() });
    }
    have_debootstrap(report).await?;

    let mirror = mirror::of_this_host();
    report(format!("making {REFERENCE} from {mirror}"));
    let workshop = tempfile::Builder::new()
        .prefix("hypertide-base-")
        .tempdir_in(WORKSHOP)
        .map_err(ImageError::path("make a directory in", WORKSHOP))?;
    let root = workshop.path().join("root");

    debootstrap(&root, &mirror, report).await?;
    let sources = tree::sources(&mirror, &reachable(&root, &mirror, report).await);
    tree::write_sources(&root, &sources).map_err(ImageError::path("write apt's sources in", &root))?;
    upgrade(&root, report).await?;
    let slim = root.clone();
    tokio::task::spawn_blocking(move || tree::slim(&slim))
        .await
        .unwrap_or_else(|gone| Err(std::io::Error::other(gone)))
        .map_err(ImageError::path("slim the tree in", &root))?;
    import(docker, &root, report).await?;
    report(format!("made {REFERENCE}"));
    workshop.close().map_err(ImageError::path("remove the tree in", root))
}

/// Installs debootstrap and the archive's keys where they are missing.
async fn have_debootstrap(report: &dyn Fn(String)) -> Result<(), ImageError> {
    if command::exists("debootstrap") && Path::new(KEYRING).exists() {
        return Ok(());
    }
    if !command::exists("apt-get") {
        return Err(ImageError::NoDebootstrap { reference: REFERENCE.to_owned() });
    }
    report("installing debootstrap on this host with apt-get".to_owned());
    let packages = ["debootstrap", "debian-archive-keyring"];
    let install = [&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat();
    if command::run("apt-get", &install, report).await.is_ok() {
        return Ok(());
    }
    // Most likely there are no package lists, or they are old.
    command::run("apt-get", &["update"], report).await?;
    command::run("apt-get", &install, report).await
}

async fn debootstrap(root: &Path, mirror: &str, report: &dyn Fn(String)) -> Result<(), ImageError> {
    let root = root.display().to_string();
    let keyring = format!("--keyring={KEYRING}");
    let mut arguments = vec!["debootstrap", "--variant=minbase", "--force-check-gpg", &keyring];
    if mirror.starts_with("https:") {
        // apt inside the image has to check the mirror's certificate.
        arguments.push("--include=ca-certificates");
    }
    arguments.extend([SUITE, &root, mirror]);
    let scripts = Path::new("/usr/share/debootstrap/scripts");
    if !scripts.join(SUITE).exists() {
        // Older than the suite; every Debian suite is made as sid is.
        arguments.push("/usr/share/debootstrap/scripts/sid");
    }
    // What it mounts in the tree goes away with the namespace, even when it is killed.
    if command::run("unshare", &["--mount", "true"], &|_| ()).await.is_ok() {
        let namespaced = [&["--mount"], arguments.as_slice()].concat();
        command::run("unshare", &namespaced, report).await
    } else {
        command::run(arguments[0], &arguments[1..], report).await
    }
}

/// Those update suites that the mirror's family has, as (location, suite).
async fn reachable(root: &Path, mirror: &str, report: &dyn Fn(String)) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let root = root.display().to_string();
    for (location, suite) in mirror::update_suites(mirror) {
        let file = format!("{location}/dists/{suite}/InRelease");
        // The tree's own apt asks: the host need not have one.
        let arguments = [
            root.as_str(),
            "/usr/lib/apt/apt-helper",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Retries=0",
            "-oAcquire::http::Timeout=10",
            "-oAcquire::https::Timeout=10",
            "download-file",
            &file,
            "/tmp/InRelease",
        ];
        if command::run("chroot", &arguments, &|_| ()).await.is_ok() {
            found.push((location, suite));
        } else {
            report(format!("{location} has no {suite}; left out"));
        }
    }
    found
}

/// Brings the tree up to the updates that came after the suite's last point release.
async fn upgrade(root: &Path, report: &dyn Fn(String)) -> Result<(), ImageError> {
    let root = root.display().to_string();
    for verb in ["update", "dist-upgrade"] {
        let arguments = [root.as_str(), "apt-get", "-y", "-oAPT::Sandbox::User=root", verb];
        command::run("chroot", &arguments, report).await?;
    }
    Ok(())
}

/// Streams the tree into the engine: `tar`'s output is the request's body.
async fn import(docker: &Docker, root: &Path, report: &dyn Fn(String)) -> Result<(), ImageError> {
    report(format!("importing {REFERENCE}"));
    let refused = |command: &str| {
        let command = command.to_owned();
        move |source| ImageError::Start { command, source }
    };
    let mut tar = tokio::process::Command::new("tar")
        .args(["--create", "--numeric-owner", "--one-file-system", "--sort=name"])
        .args(["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"])
        .arg("--directory")
        .arg(root)
        .arg(".")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(refused("tar"))?;
    let output = tar.stdout.take().expect("stdout is piped");
    let mut complaints = tar.stderr.take().expect("stderr is piped");

    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(REPOSITORY)
        .tag(TAG)
        .message("debootstrap by hypertide")
        .changes(vec!["CMD [\"bash\"]".to_owned(), format!("LABEL {KIND_LABEL}=base")])
        .build();
    let docker = docker.clone().with_timeout(Duration::from_secs(PATIENCE_SECS));
    let body = bollard::body_try_stream(ReaderStream::with_capacity(output, CHUNK_BYTES));
    let answers = docker.create_image(Some(options), Some(body), None);
    let (answers, complaint) = tokio::join!(answers.collect::<Vec<_>>(), async {
        let mut text = String::new();
        complaints.read_to_string(&mut text).await.map(|_| text)
    });
    for answer in answers {
        answer.map_err(ImageError::docker("import image", REFERENCE))?;
    }
    let status = tar.wait().await.map_err(refused("tar"))?;
    if !status.success() {
        // What was imported is a part of the tree; it must not be taken for the image.
        let options = None::<bollard::query_parameters::RemoveImageOptions>;
        docker
            .remove_image(REFERENCE, options, None)
            .await
            .map_err(ImageError::docker("remove the incomplete image", REFERENCE))?;
        let mut tail = Tail::default();
        complaint.unwrap_or_default().lines().for_each(|line| tail.push(line));
        return Err(ImageError::Command {
            command: format!("tar of {}", root.display()),
            status: status.to_string(),
            tail,
        });
    }
    Ok(())
}
