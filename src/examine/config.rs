//! Reads the configuration and its packs, and keeps every mistake instead of ending at the first.

use std::path::{Path, PathBuf};

use crate::config::{self, ConfigError, FILE_NAME};
use crate::error::in_one_line;
use crate::model::desired::Desired;
use crate::model::pack::Pack;
use crate::plan::doctor::facts::{ConfigSeen, Mistake};
use crate::schema::packs;

/// A configuration that may be broken.
#[derive(Debug)]
pub struct Read {
    /// What the judgement needs to know.
    pub seen: ConfigSeen,
    /// What is wanted; `None` when the file is broken.
    pub desired: Option<Desired>,
    /// The packs; `None` when they are broken, or the file is.
    pub packs: Option<Vec<Pack>>,
    /// The file, broken or not, when there is one; the state directory is beside it.
    pub origin: Option<PathBuf>,
}

/// Reads the named file, else the usual one, else defaults.
pub fn read(named: Option<&Path>) -> Read {
    let loaded = match config::load(named) {
        Ok(loaded) => loaded,
        Err(error) => {
            let origin = Some(named.map_or_else(|| PathBuf::from(FILE_NAME), Path::to_owned));
            let seen = ConfigSeen { origin: origin.clone(), mistakes: mistakes(&error) };
            return Read { seen, desired: None, packs: None, origin };
        }
    };
    let mut seen = ConfigSeen { origin: loaded.origin.clone(), mistakes: Vec::new() };
    let packs = match packs::load(&loaded.desired.packs) {
        Ok(packs) => Some(packs),
        Err(error) => {
            seen.mistakes.push(Mistake { text: in_one_line(&error), help: error.help() });
            None
        }
    };
    Read { seen, desired: Some(loaded.desired), packs, origin: loaded.origin }
}

fn mistakes(error: &ConfigError) -> Vec<Mistake> {
    match error {
        ConfigError::Invalid { origin, problems } => problems
            .iter()
            .map(|problem| Mistake {
                text: format!("{}: {problem}", origin.display()),
                help: problem.help.clone().or_else(|| error.help()),
            })
            .collect(),
        ConfigError::Unreadable { .. } | ConfigError::NotYaml { .. } => {
            vec![Mistake { text: in_one_line(error), help: error.help() }]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Read {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("h.yaml");
        std::fs::write(&file, text).expect("writable");
        read(Some(&file))
    }

    #[test]
    fn every_mistake_is_kept_with_its_line_and_help() {
        let found = read_text("clusters: a\nbind: here\n");
        assert!(found.desired.is_none());
        let mistakes = &found.seen.mistakes;
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert!(mistakes[0].text.contains("h.yaml: line 1: clusters: "), "{mistakes:?}");
        assert!(mistakes.iter().all(|mistake| mistake.help.is_some()), "{mistakes:?}");
    }

    #[test]
    fn what_is_no_yaml_or_no_file_is_one_mistake() {
        assert_eq!(read_text("cluster: a\n  database: b\n").seen.mistakes.len(), 1);
        assert_eq!(read(Some(Path::new("/nowhere/h.yaml"))).seen.mistakes.len(), 1);
    }

    #[test]
    fn a_broken_pack_leaves_the_rest_of_the_configuration_usable() {
        let found = read_text("packs: [./missing]\n");
        assert!(found.desired.is_some() && found.packs.is_none());
        assert_eq!(found.seen.mistakes.len(), 1);
    }
}
