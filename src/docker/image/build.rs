//! Builds the bundled image from the files in the binary, with the engine's classic builder.
//!
//! In: nothing but the engine and its local `debian:trixie-slim`. Out: an image under [`bundled_reference`]. It never
//! touches the disk: the context is a tar archive in memory.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::error::ImageError;
use super::tail::Tail;
use super::{KIND_LABEL, PATIENCE_SECS};

/// The build context: name, mode and content of each file.
pub const BUNDLED: [(&str, u32, &str); 2] = [
    ("Dockerfile", 0o644, include_str!("../../../compose/image/Dockerfile")),
    ("entrypoint.sh", 0o755, include_str!("../../../compose/image/entrypoint.sh")),
];

/// What proxies a build needs to know of; the engine accepts these without the Dockerfile naming them.
const PROXY_VARIABLES: [&str; 6] = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// The bundled image's reference. It changes with the context, so that a new hypertide builds a new image.
pub fn bundled_reference() -> String {
    let mut digest = Sha256::new();
    for (name, mode, content) in BUNDLED {
        digest.update(format!("{name} {mode:o} {}\n", content.len()));
        digest.update(content);
    }
    let hex = digest.finalize()[..6].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("hypertide/timescaledb:pg17-{hex}")
}

/// Builds and tags it; every line of output goes to `report`.
pub(super) async fn build(docker: &Docker, report: &dyn Fn(String)) -> Result<String, ImageError> {
    let reference = bundled_reference();
    report(format!("building {reference}"));
    let docker = docker.clone().with_timeout(Duration::from_secs(PATIENCE_SECS));
    let proxies: HashMap<&str, String> =
        PROXY_VARIABLES.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?))).collect();
    let options = BuildImageOptionsBuilder::new()
        .t(&reference)
        .rm(true)
        .forcerm(true)
        // The host's resolver and proxies work for the build as they do for the host.
        .networkmode("host")
        .buildargs(&proxies)
        .labels(&HashMap::from([(KIND_LABEL, "image")]))
        .build();

    let mut tail = Tail::default();
    let mut answers = docker.build_image(options, None, Some(bollard::body_full(context().into())));
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(info) => {
                let text = plain(&info.stream.unwrap_or_default());
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    tail.push(line);
                    report(line.to_owned());
                }
            }
            Err(source) => {
                return Err(ImageError::Build { reference, tail, source: Box::new(source) });
            }
        }
    }
    Ok(reference)
}

/// The builder paints what a step writes to stderr red.
fn plain(text: &str) -> String {
    text.replace("\u{1b}[91m", "").replace("\u{1b}[0m", "")
}

/// The context as a tar archive; the same bytes each time, so that the engine's cache works.
fn context() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, mode, content) in BUNDLED {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        archive.append_data(&mut header, name, content.as_bytes()).expect("a Vec takes every write");
    }
    archive.into_inner().expect("a Vec takes every write")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_the_context() {
        let reference = bundled_reference();
        let hex = reference.strip_prefix("hypertide/timescaledb:pg17-").expect("the repository");
        assert_eq!(hex.len(), 12);
        assert!(hex.chars().all(|c| c.is_ascii_hexdigit()), "{hex}");
        assert_eq!(reference, bundled_reference());
    }

    #[test]
    fn the_context_holds_every_file_with_its_mode() {
        let bytes = context();
        assert_eq!(bytes, context());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let files: Vec<(String, u32)> = archive
            .entries()
            .expect("an archive")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let path = entry.path().expect("a path").display().to_string();
                (path, entry.header().mode().expect("a mode"))
            })
            .collect();
        assert_eq!(files, [("Dockerfile".to_owned(), 0o644), ("entrypoint.sh".to_owned(), 0o755)]);
    }
}
