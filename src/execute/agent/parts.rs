//! What the agent's container is made of besides this binary: the configuration, and what its backup jobs need of the host.
//!
//! In: the configuration and this process's environment. Out: values with the bytes of every file in them, so that one digest
//! over them tells whether an agent is still the wanted one. Reads files; makes none but a store's own directory.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::docker::spec::AGENT_DIR;
use crate::model::digest;
use crate::plan::agent_needs::AgentNeeds;

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub struct AgentParts {
    /// The configuration file's text.
    pub config: String,
    /// Directories of the host that the agent has at the same path.
    pub dirs: Vec<PathBuf>,
    /// Further files.
    pub files: Vec<AgentFile>,
    /// Its environment, nothing secret: `NAME=value`.
    pub env: Vec<String>,
}

/// A file in the agent's container, for its owner only.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentFile {
    /// Where.
    pub path: String,
    /// What is in it; never shown.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for AgentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentFile({}, {} bytes)", self.path, self.bytes.len())
    }
}

/// Something that the agent needs could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {} for the agent", path.display())]
pub struct PartsError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl PartsError {
    /// What the user can do.
    pub fn help(&self) -> String {
        format!("make {} readable, or take it out of hypertide.yaml", self.path.display())
    }
}

impl AgentParts {
    /// Puts them together. `config_dir` is where the configuration lies: what it names relative to itself lies beside its copy
    /// in the agent.
    pub fn gather(
        config: &str,
        config_dir: &Path,
        needs: &AgentNeeds,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, PartsError> {
        let mut parts = Self {
            config: config.to_owned(),
            dirs: needs.dirs.iter().cloned().collect(),
            env: needs.env.clone(),
            ..Self::default()
        };
        for path in &needs.files {
            let bytes = fs::read(path).map_err(|source| PartsError { path: path.clone(), source })?;
            if let Ok(relative) = path.strip_prefix(config_dir) {
                parts.file(&plain(&Path::new(AGENT_DIR).join(relative)), bytes.clone());
            }
            if path.is_absolute() {
                parts.file(&plain(path), bytes);
            }
        }
        if needs.has_bucket {
            parts.credentials(env)?;
        }
        Ok(parts)
    }

    fn file(&mut self, path: &Path, bytes: Vec<u8>) {
        self.files.push(AgentFile { path: path.to_string_lossy().into_owned(), bytes });
    }

    /// The SDK's shared files, or the keys in the environment as such a file. Without any of them the agent is left to the
    /// rest of the SDK's chain, such as the host's own role.
    fn credentials(&mut self, env: impl Fn(&str) -> Option<OsString>) -> Result<(), PartsError> {
        let text = |name: &str| env(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
        let home = env("HOME").map(PathBuf::from);
        let shared = |name: &str, usual: &str| {
            let path =
                text(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".aws").join(usual)))?;
            match fs::read(&path) {
                Ok(bytes) => Some(Ok(bytes)),
                Err(source) if source.kind() == io::ErrorKind::NotFound => None,
                Err(source) => Some(Err(PartsError { path, source })),
            }
        };
        let from_environment = text("AWS_ACCESS_KEY_ID").zip(text("AWS_SECRET_ACCESS_KEY")).map(|(id, secret)| {
            let token =
                text("AWS_SESSION_TOKEN").map(|token| format!("aws_session_token = {token}\n")).unwrap_or_default();
            format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n{token}").into_bytes()
        });
        let is_profile = from_environment.is_none();
        let credentials = match from_environment {
            Some(made) => Some(made),
            None => shared("AWS_SHARED_CREDENTIALS_FILE", "credentials").transpose()?,
        };
        let config = shared("AWS_CONFIG_FILE", "config").transpose()?;
        for (name, file, bytes) in
            [("AWS_SHARED_CREDENTIALS_FILE", "aws-credentials", credentials), ("AWS_CONFIG_FILE", "aws-config", config)]
        {
            let Some(bytes) = bytes else { continue };
            let path = Path::new(AGENT_DIR).join(file);
            self.env.push(format!("{name}={}", path.display()));
            self.file(&path, bytes);
        }
        let chosen = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().chain(is_profile.then_some("AWS_PROFILE"));
        self.env.extend(chosen.filter_map(|name| Some(format!("{name}={}", text(name)?))));
        Ok(())
    }

    /// Tells an agent that is made of these parts and this binary from any other.
    pub fn digest(&self, binary: &[u8]) -> String {
        let mut all: Vec<Vec<u8>> = vec![binary.to_vec(), self.config.clone().into_bytes()];
        all.extend(self.dirs.iter().map(|dir| dir.to_string_lossy().into_owned().into_bytes()));
        all.extend(self.files.iter().flat_map(|file| [file.path.clone().into_bytes(), file.bytes.clone()]));
        all.extend(self.env.iter().map(|value| value.clone().into_bytes()));
        // Keeps parts apart that read the same in a row.
        let lengths: Vec<usize> = all.iter().map(Vec::len).collect();
        let shape = format!("{} {} {} {lengths:?}", self.dirs.len(), self.files.len(), self.env.len());
        let parts: Vec<&[u8]> = all.iter().map(Vec::as_slice).chain([shape.as_bytes()]).collect();
        digest::short(&parts)
    }
}

/// Without `.` and `..`, which an archive must not have.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gathered(needs: &AgentNeeds, env: &[(&str, &str)]) -> AgentParts {
        let env: Vec<(String, OsString)> = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let find = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        AgentParts::gather("cluster: trading\n", Path::new("/nowhere"), needs, find).expect("readable")
    }

    fn file<'a>(parts: &'a AgentParts, path: &str) -> Option<&'a str> {
        let found = parts.files.iter().find(|file| file.path == path)?;
        std::str::from_utf8(&found.bytes).ok()
    }

    const BUCKET: AgentNeeds = AgentNeeds {
        dirs: std::collections::BTreeSet::new(),
        files: std::collections::BTreeSet::new(),
        env: Vec::new(),
        has_bucket: true,
    };

    #[test]
    fn credentials_come_only_for_a_bucket_and_only_as_files() {
        let env = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "wJalr"), ("AWS_PROFILE", "backup")];
        assert!(gathered(&AgentNeeds::default(), &env).files.is_empty());
        let parts = gathered(&BUCKET, &env);
        let made = file(&parts, "/etc/hypertide/aws-credentials").expect("made");
        assert_eq!(made, "[default]\naws_access_key_id = AKIA\naws_secret_access_key = wJalr\n");
        assert_eq!(parts.env, ["AWS_SHARED_CREDENTIALS_FILE=/etc/hypertide/aws-credentials"]);
        assert!(!format!("{parts:?}").contains("wJalr"));
    }

    #[test]
    fn shared_files_are_taken_over_with_the_profile_they_are_read_by() {
        let home = tempfile::tempdir().expect("room");
        fs::create_dir(home.path().join(".aws")).expect("room");
        fs::write(home.path().join(".aws/credentials"), "[backup]\n").expect("room");
        let env = [("HOME", home.path().to_str().expect("plain")), ("AWS_PROFILE", "backup"), ("AWS_REGION", "eu-1")];
        let parts = gathered(&BUCKET, &env);
        assert_eq!(file(&parts, "/etc/hypertide/aws-credentials"), Some("[backup]\n"));
        assert_eq!(parts.env[1..], ["AWS_REGION=eu-1", "AWS_PROFILE=backup"]);
    }

    #[test]
    fn an_identity_lies_where_the_configuration_names_it_and_a_missing_one_is_told() {
        let dir = tempfile::tempdir().expect("room");
        let key = dir.path().join("age.txt");
        let needs = AgentNeeds { files: [key.clone()].into(), ..AgentNeeds::default() };
        let gather = || AgentParts::gather("", dir.path(), &needs, |_| None);
        let error = gather().expect_err("no such file");
        assert_eq!(error.to_string(), format!("cannot read {} for the agent", key.display()));
        fs::write(&key, "AGE-SECRET-KEY-1").expect("room");
        let parts = gather().expect("readable");
        let paths: Vec<&str> = parts.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["/etc/hypertide/age.txt", key.to_str().expect("plain")]);
    }

    #[test]
    fn a_path_that_leaves_the_configurations_directory_arrives_where_the_agent_looks() {
        let dir = tempfile::tempdir().expect("room");
        fs::write(dir.path().join("age.txt"), "AGE-SECRET-KEY-1").expect("room");
        let config_dir = dir.path().join("conf");
        fs::create_dir(&config_dir).expect("room");
        let needs = AgentNeeds { files: [config_dir.join("../age.txt")].into(), ..AgentNeeds::default() };
        let parts = AgentParts::gather("", &config_dir, &needs, |_| None).expect("readable");
        let paths: Vec<&str> = parts.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["/etc/age.txt", dir.path().join("age.txt").to_str().expect("plain")]);
    }

    fn parts() -> impl Strategy<Value = AgentParts> {
        let file = ("[ab]{0,2}", "[ab]{0,2}").prop_map(|(path, bytes)| AgentFile { path, bytes: bytes.into_bytes() });
        let dirs = proptest::collection::vec("[ab]{0,2}".prop_map(PathBuf::from), 0..3);
        let env = proptest::collection::vec("[ab]{0,2}", 0..3);
        ("[ab]{0,2}", dirs, proptest::collection::vec(file, 0..3), env)
            .prop_map(|(config, dirs, files, env)| AgentParts { config, dirs, files, env })
    }

    proptest! {
        #[test]
        fn only_the_same_parts_have_the_same_digest(one in parts(), other in parts()) {
            let is_same = (&one.config, &one.dirs, &one.files, &one.env) == (&other.config, &other.dirs, &other.files, &other.env);
            prop_assert_eq!(one.digest(b"binary") == other.digest(b"binary"), is_same);
        }
    }
}
