//! Turns what debootstrap made into what an image needs.
//!
//! In: the tree and the update suites that answered. Out: the same tree without documentation, caches and traces of the
//! host, with apt's sources written; upgrading it is the caller's. It works below the tree's root only.

use std::fs;
use std::io;
use std::path::Path;

/// Emptied, but kept as directories: packages expect them.
const EMPTIED: [&str; 9] = [
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/log",
    "tmp",
    "run",
];

/// Traces of the host, and of the making.
const REMOVED: [&str; 4] = ["etc/hostname", "etc/resolv.conf", "etc/machine-id", "debootstrap"];

/// Later installations leave out the same files.
const DPKG_RULES: &str = "\
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
";

/// apt's sources for the image: the mirror, and the update suites that answered.
pub(super) fn sources(mirror: &str, updates: &[(String, &str)]) -> String {
    let suites = updates.iter().map(|(location, suite)| (location.as_str(), *suite));
    [(mirror, "trixie")]
        .into_iter()
        .chain(suites)
        .map(|(location, suite)| {
            format!(
                "Types: deb\nURIs: {location}\nSuites: {suite}\nComponents: main\n\
                 Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Writes them, in place of debootstrap's.
pub(super) fn write_sources(root: &Path, sources: &str) -> io::Result<()> {
    remove(&root.join("etc/apt/sources.list"))?;
    fs::write(root.join("etc/apt/sources.list.d/debian.sources"), sources)
}

/// Slims the tree.
pub(super) fn slim(root: &Path) -> io::Result<()> {
    for directory in EMPTIED {
        empty(&root.join(directory))?;
    }
    for documentation in list(&root.join("usr/share/doc"))? {
        keep_licence(&documentation)?;
    }
    for old in list(&root.join("var/cache/debconf"))? {
        if old.to_string_lossy().ends_with("-old") {
            remove(&old)?;
        }
    }
    for trace in REMOVED {
        remove(&root.join(trace))?;
    }
    // The engine puts the container's own over it.
    fs::write(root.join("etc/resolv.conf"), "")?;
    fs::write(root.join("etc/dpkg/dpkg.cfg.d/docker"), DPKG_RULES)
}

/// Of a package's documentation, its licence stays.
fn keep_licence(documentation: &Path) -> io::Result<()> {
    for file in list(documentation)? {
        if file.file_name().is_none_or(|name| name != "copyright") {
            remove(&file)?;
        }
    }
    Ok(())
}

fn empty(directory: &Path) -> io::Result<()> {
    list(directory)?.iter().try_for_each(|path| remove(path))
}

/// What is in a directory; nothing when it is none. Symbolic links are not followed.
fn list(directory: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    if !fs::symlink_metadata(directory).is_ok_and(|it| it.is_dir()) {
        return Ok(Vec::new());
    }
    fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// Whatever it is, and if it is there. A symbolic link goes, not what it points to.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_hold_the_mirror_and_what_answered() {
        let text = sources("http://m/debian", &[("http://m/debian-security".to_owned(), "trixie-security")]);
        insta::assert_snapshot!(text, @r"
        Types: deb
        URIs: http://m/debian
        Suites: trixie
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

        Types: deb
        URIs: http://m/debian-security
        Suites: trixie-security
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
        ");
    }

    #[test]
    fn licences_stay_documentation_goes_and_links_are_not_followed() {
        let place = tempfile::tempdir().expect("a directory");
        let outside = place.path().join("outside");
        let root = place.path().join("root");
        let write = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "x").expect("written");
        };
        fs::write(&outside, "host").expect("written");
        for path in [
            "usr/share/doc/a/copyright",
            "usr/share/doc/a/changelog.gz",
            "usr/share/man/man1/a.1",
            "etc/hostname",
            "etc/dpkg/dpkg.cfg.d/x",
            "etc/apt/sources.list",
            "etc/apt/sources.list.d/x",
        ] {
            write(path);
        }
        std::os::unix::fs::symlink(&outside, root.join("etc/resolv.conf")).expect("linked");

        write_sources(&root, "deb\n").expect("written");
        slim(&root).expect("slimmed");

        assert!(root.join("usr/share/doc/a/copyright").exists());
        assert!(root.join("usr/share/man").is_dir());
        for gone in ["usr/share/doc/a/changelog.gz", "usr/share/man/man1", "etc/hostname", "etc/apt/sources.list"] {
            assert!(!root.join(gone).exists(), "{gone}");
        }
        assert_eq!(fs::read_to_string(outside).expect("there"), "host");
        let written = root.join("etc/apt/sources.list.d/debian.sources");
        assert_eq!(fs::read_to_string(written).expect("there"), "deb\n");
    }
}
