//! Small files into and out of containers, running or not, through the archive endpoints.
//!
//! For control data only (secrets, configuration, the agent's binary); bulk data goes over the network.

use std::io::Read;

use bollard::body_full;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::TryStreamExt;

use super::engine::{DockerError, Engine};

/// A file to be put into a container.
#[derive(Debug)]
pub struct File<'a> {
    /// Its path, absolute.
    pub path: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u64, u64),
}

impl Engine {
    /// Puts files into a container; parent directories that are missing are made, owned as the file is.
    pub async fn put_files(&self, container: &str, files: &[File<'_>]) -> Result<(), DockerError> {
        let doing = format!("put {} files into {container}", files.len());
        let archive = pack(files)
            .map_err(|error| DockerError::Unexpected { doing: doing.clone(), because: error.to_string() })?;
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        self.client()
            .upload_to_container(container, Some(options), body_full(archive.into()))
            .await
            .map_err(|error| DockerError::from_bollard(doing, error))
    }

    /// The bytes of one file in a container; `None` when there is no such file.
    pub async fn read_file(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>, DockerError> {
        let doing = format!("read {path} in {container}");
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let chunks: Result<Vec<_>, _> =
            self.client().download_from_container(container, Some(options)).try_collect().await;
        let archive = match chunks {
            Ok(chunks) => chunks.concat(),
            Err(error) => {
                let error = DockerError::from_bollard(doing, error);
                return if error.status() == Some(404) { Ok(None) } else { Err(error) };
            }
        };
        unpack_one(&archive).map_err(|error| DockerError::Unexpected { doing, because: error.to_string() })
    }
}

fn pack(files: &[File<'_>]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.owner.0);
        header.set_gid(file.owner.1);
        archive.append_data(&mut header, file.path.trim_start_matches('/'), file.bytes)?;
    }
    archive.into_inner()
}

fn unpack_one(archive: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else { return Ok(None) };
    let mut bytes = Vec::new();
    entry?.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_what_it_packs() {
        let file = File { path: "/etc/hypertide/pgpass", bytes: b"secret", mode: 0o600, owner: (999, 999) };
        let archive = pack(&[file]).expect("writing to memory");
        assert_eq!(unpack_one(&archive).expect("well-formed"), Some(b"secret".to_vec()));
    }
}
