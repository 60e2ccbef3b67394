//! Which Debian mirror this host uses.
//!
//! In: apt's source lists, in the one-line format and in deb822. Out: one location. Security suites, other
//! distributions, third-party repositories and locations with a password in them are passed over; nothing is asked over
//! the network.

use std::fs;
use std::path::{Path, PathBuf};

/// Taken only when the host names no Debian mirror of its own.
const FALLBACK: &str = "http://deb.debian.org/debian";

/// Debian's suites: derivatives and vendors use other names, or sign with another key.
const SUITES: [&str; 12] = [
    "stable",
    "testing",
    "unstable",
    "oldstable",
    "oldoldstable",
    "sid",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
];

/// One location of one suite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    location: String,
    suite: String,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// The mirror of this host, without a slash at its end.
pub(super) fn of_this_host() -> String {
    let files: Vec<(PathBuf, String)> = source_files(Path::new("/etc/apt"))
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            Some((path, text))
        })
        .collect();
    pick(&files).unwrap_or_else(|| FALLBACK.to_owned())
}

/// Where updates to trixie are to be expected, next to the suite itself.
pub(super) fn update_suites(mirror: &str) -> Vec<(String, &'static str)> {
    let mut places = vec![(mirror.to_owned(), "trixie-updates")];
    if let Some(family) = mirror.strip_suffix("debian") {
        places.push((format!("{family}debian-security"), "trixie-security"));
    }
    places
}

/// apt's own order: the main file, then the others by name.
fn source_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files.insert(0, directory.join("sources.list"));
    files
}

fn pick(files: &[(PathBuf, String)]) -> Option<String> {
    let sources: Vec<Source> = files
        .iter()
        .flat_map(|(path, text)| match path.extension() {
            Some(it) if it == "list" => one_line(text),
            Some(it) if it == "sources" => deb822(text),
            _ => Vec::new(),
        })
        .filter(is_debian)
        .collect();
    // Vendors sometimes borrow Debian's words; its mirrors are called after it.
    let named = |source: &&Source| source.location.ends_with("/debian");
    sources.iter().find(named).or_else(|| sources.first()).map(|source| source.location.clone())
}

fn is_debian(source: &Source) -> bool {
    let over_http = ["http://", "https://"].iter().any(|scheme| source.location.starts_with(scheme));
    let signed_by_debian = source.signed_by.as_deref().is_none_or(|key| key.contains("debian-archive"));
    over_http
        // A password would end up in the image.
        && !source.location.contains('@')
        && SUITES.contains(&source.suite.as_str())
        && source.components.iter().any(|it| it == "main")
        && signed_by_debian
}

/// `deb [option=value ..] location suite component ..`, one per line.
fn one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(one_line_source).collect()
}

fn one_line_source(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    Some(Source {
        location: words.next()?.trim_end_matches('/').to_owned(),
        suite: words.next()?.to_owned(),
        components: words.map(ToOwned::to_owned).collect(),
        signed_by: options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(ToOwned::to_owned),
    })
}

/// Stanzas of `Field: value`, values going on in lines that begin with a blank.
fn deb822(text: &str) -> Vec<Source> {
    let mut stanzas: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
            continue;
        }
        let Some(stanza) = stanzas.last_mut() else {
            continue;
        };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((field, value)) = line.split_once(':') {
            stanza.push((field.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    stanzas.iter().flat_map(|stanza| sources_of(stanza)).collect()
}

fn sources_of(stanza: &[(String, String)]) -> Vec<Source> {
    let field = |name: &str| stanza.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let words = |name: &str| field(name).unwrap_or_default().split_whitespace();
    let is_off = field("enabled").is_some_and(|it| ["no", "false", "0"].contains(&it));
    if is_off || !words("types").any(|it| it == "deb") {
        return Vec::new();
    }
    words("uris")
        .flat_map(|location| {
            words("suites").map(move |suite| Source {
                location: location.trim_end_matches('/').to_owned(),
                suite: suite.to_owned(),
                components: words("components").map(ToOwned::to_owned).collect(),
                signed_by: field("signed-by").map(ToOwned::to_owned),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
