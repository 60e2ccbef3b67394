//! Looks into an image without running it.
//!
//! In: a reference, or a container. Out: [`ImageFacts`], or the ids of the user `postgres`. The files are read through
//! the engine's archive endpoints from a container that is created, never started, and removed again.

use std::collections::HashMap;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, ImageInspect};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptions, DownloadFromContainerOptionsBuilder,
    ListContainersOptionsBuilder, ListImagesOptions, RemoveContainerOptionsBuilder,
};
use futures_util::TryStreamExt;

use super::KIND_LABEL;
use super::error::{ImageError, is_not_found};
use crate::model::observed::ImageFacts;
use crate::model::seen::Seen;

/// Files larger than this are not what they should be.
const MOST_BYTES: u64 = 1 << 20;

/// A probe lives for a fraction of a second; one older than this was left over.
const STALE_SECS: u64 = 60;

/// What the image holds. `Absent`: there is no such image.
pub async fn facts(docker: &Docker, reference: &str) -> Result<Seen<ImageFacts>, ImageError> {
    let image = match docker.inspect_image(reference).await {
        Ok(image) => image,
        Err(error) if is_not_found(&error) => return Ok(Seen::Absent),
        Err(error) => return Err(ImageError::docker("inspect image", reference)(error)),
    };
    let postgres_major = postgres_major(&image);
    let id = image.id.unwrap_or_default();
    let timescaledb = match postgres_major {
        Some(major) => {
            remove_stale_probes(docker).await;
            let probe = create_probe(docker, reference, &id).await?;
            let found = timescaledb(docker, &probe, major).await;
            let removed = remove_probe(docker, &probe).await;
            let found = found?;
            removed?;
            found
        }
        None => None,
    };
    Ok(Seen::Present(ImageFacts { reference: reference.to_owned(), id, postgres_major, timescaledb }))
}

/// The id of a local image with PostgreSQL of this major version; `None` when there is none.
pub async fn with_postgres(docker: &Docker, major: u32) -> Result<Option<String>, ImageError> {
    let images = docker.list_images(None::<ListImagesOptions>).await.map_err(ImageError::docker("list", "images"))?;
    for listed in images.into_iter().filter(|image| !image.repo_tags.is_empty()) {
        match docker.inspect_image(&listed.id).await {
            Ok(image) if postgres_major(&image) == Some(major) => return Ok(image.id),
            Ok(_) => {}
            // Removed since it was listed.
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(ImageError::docker("inspect image", &listed.id)(error)),
        }
    }
    Ok(None)
}

/// User and group id of `postgres`, as the container's own `/etc/passwd` has them.
pub async fn postgres_uid(docker: &Docker, container: &str) -> Result<(u64, u64), ImageError> {
    let passwd = read(docker, container, "/etc/passwd").await?;
    passwd
        .as_deref()
        .and_then(ids_of_postgres)
        .ok_or_else(|| ImageError::NoPostgresUser { container: container.to_owned() })
}

fn postgres_major(image: &ImageInspect) -> Option<u32> {
    let environment = image.config.as_ref()?.env.as_ref()?;
    environment.iter().find_map(|line| line.strip_prefix("PG_MAJOR="))?.parse().ok()
}

async fn create_probe(docker: &Docker, reference: &str, id: &str) -> Result<String, ImageError> {
    let body = ContainerCreateBody {
        image: Some(id.to_owned()),
        // Never run; an image without a command of its own could not be created from otherwise.
        cmd: Some(vec!["true".to_owned()]),
        labels: Some(HashMap::from([(KIND_LABEL.to_owned(), "probe".to_owned())])),
        ..ContainerCreateBody::default()
    };
    docker
        .create_container(None::<CreateContainerOptions>, body)
        .await
        .map(|created| created.id)
        .map_err(ImageError::docker("create a container to look into", reference))
}

/// Removes probes of runs that were cut off. One that cannot be removed is in nobody's way.
async fn remove_stale_probes(docker: &Docker) {
    let label = format!("{KIND_LABEL}=probe");
    let filters = HashMap::from([("label", vec![label.as_str()]), ("status", vec!["created"])]);
    let list = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for probe in docker.list_containers(Some(list)).await.unwrap_or_default() {
        let made = probe.created.and_then(|secs| u64::try_from(secs).ok()).unwrap_or(now);
        let is_stale = now.saturating_sub(made) > STALE_SECS;
        if let Some(id) = probe.id.filter(|_| is_stale)
            && let Err(error) = remove_probe(docker, &id).await
        {
            tracing::debug!(%error, "left a stale probe");
        }
    }
}

async fn remove_probe(docker: &Docker, probe: &str) -> Result<(), ImageError> {
    // With its anonymous volumes: creating it created those the image declares.
    let options = RemoveContainerOptionsBuilder::new().v(true).force(true).build();
    docker.remove_container(probe, Some(options)).await.map_err(ImageError::docker("remove container", probe))
}

/// The version `CREATE EXTENSION timescaledb` would install; `None` when it could not.
async fn timescaledb(docker: &Docker, probe: &str, major: u32) -> Result<Option<String>, ImageError> {
    // Debian's packages, then docker-library's builds from source.
    let places = [
        (format!("/usr/share/postgresql/{major}/extension"), format!("/usr/lib/postgresql/{major}/lib")),
        ("/usr/local/share/postgresql/extension".to_owned(), "/usr/local/lib/postgresql".to_owned()),
    ];
    for (extension, library) in places {
        let control = format!("{extension}/timescaledb.control");
        let Some(text) = read(docker, probe, &control).await? else {
            continue;
        };
        let Some(version) = default_version(&text) else {
            continue;
        };
        // The loader, and the version it would load.
        let loader = format!("{library}/timescaledb.so");
        let versioned = format!("{library}/timescaledb-{version}.so");
        if exists(docker, probe, &loader).await? && exists(docker, probe, &versioned).await? {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

async fn exists(docker: &Docker, container: &str, path: &str) -> Result<bool, ImageError> {
    let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
    match docker.get_container_archive_info(container, Some(options)).await {
        Ok(_) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(ImageError::docker("look for a file in container", container)(error)),
    }
}

/// A small text file of a container; `None` when there is none.
async fn read(docker: &Docker, container: &str, path: &str) -> Result<Option<String>, ImageError> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let archive = docker
        .download_from_container(container, Some(options))
        .try_fold(Vec::new(), |mut bytes, chunk| async move {
            bytes.extend_from_slice(&chunk);
            Ok(bytes)
        })
        .await;
    match archive {
        Ok(archive) => first_file(&archive).map(Some).map_err(|source| ImageError::File {
            path: path.to_owned(),
            container: container.to_owned(),
            source,
        }),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(ImageError::docker("read a file of container", container)(error)),
    }
}

fn first_file(archive: &[u8]) -> io::Result<String> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut text = String::new();
            entry.take(MOST_BYTES).read_to_string(&mut text)?;
            return Ok(text);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"))
}

/// `default_version = '2.19.3'` of an extension's control file.
fn default_version(control: &str) -> Option<String> {
    control.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.split('#').next()?.trim().trim_matches('\'');
        (key.trim() == "default_version" && !value.is_empty()).then(|| value.to_owned())
    })
}

fn ids_of_postgres(passwd: &str) -> Option<(u64, u64)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        (name == "postgres").then_some(())?;
        Some((uid.parse().ok()?, gid.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_default_version_of_a_control_file() {
        let table = [
            ("default_version = '2.19.3'", Some("2.19.3")),
            ("# x\ncomment = 'a = b'\ndefault_version='2.29.2' # y\n", Some("2.29.2")),
            ("#default_version = '1'\nmodule_pathname = 'x'", None),
            ("default_version = ''", None),
            ("", None),
        ];
        for (control, wanted) in table {
            assert_eq!(default_version(control).as_deref(), wanted, "{control}");
        }
    }

    #[test]
    fn finds_postgres_among_the_users_and_nobody_else() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\npostgres:x:70:71::/var/lib:/bin/sh\n";
        assert_eq!(ids_of_postgres(passwd), Some((70, 71)));
        assert_eq!(ids_of_postgres("postgresql:x:1:1::/:/bin/sh"), None);
        assert_eq!(ids_of_postgres(""), None);
    }
}
