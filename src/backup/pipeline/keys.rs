//! Who may read backups: recipients to encrypt for, identities to decrypt with. An identity never prints.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::x25519::{Identity, Recipient};

use super::error::PipelineError;

/// The identities of one file in `age-keygen`'s format: comments, and a line for each identity. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    pub(super) identities: Arc<[Identity]>,
    pub(super) file: PathBuf,
}

impl Keys {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, PipelineError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| PipelineError::IdentityFile { file: file.to_owned(), source })?;
        Self::parse(&text, file)
    }

    /// Reads the text of a file; `file` names it in errors.
    pub fn parse(text: &str, file: &Path) -> Result<Self, PipelineError> {
        let refused = |because: String| PipelineError::Identity { file: file.to_owned(), because };
        if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN ") {
            let because = "it is itself encrypted, or a key of another kind; an identity in plain text is needed";
            return Err(refused(because.into()));
        }
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let identities = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                line.parse::<Identity>()
                    .map_err(|_| refused(format!("line {number} does not begin a key with `AGE-SECRET-KEY-1`")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if identities.is_empty() {
            return Err(refused("it has no line with a key".into()));
        }
        Ok(Self { identities: identities.into(), file: file.to_owned() })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} of {})", self.identities.len(), self.file.display())
    }
}

/// Reads a recipient.
pub(super) fn recipient(text: &str) -> Result<Recipient, PipelineError> {
    let shown = |text: &str| {
        // Somebody who gives the secret key by mistake must not find it in a log.
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY") {
            "AGE-SECRET-KEY-…".to_owned()
        } else {
            text.to_owned()
        }
    };
    text.parse()
        .map_err(|because: &str| PipelineError::Recipient { recipient: shown(text), because: because.to_owned() })
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::*;

    fn parse(text: &str) -> Result<Keys, String> {
        Keys::parse(text, Path::new("/keys.txt")).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_age_keygen_writes_and_never_shows_it() {
        let secret = Identity::generate().to_string().expose_secret().to_owned();
        let keys = parse(&format!("# created: 2026\n# public key: age1x\n{secret}\n\n")).expect("well-formed");
        assert_eq!(keys.identities.len(), 1);
        assert!(!format!("{keys:?}").contains(&secret[15..]));
        let odd = parse(&format!("{secret}x\n")).expect_err("a character too many");
        assert!(odd.contains("line 1") && !odd.contains(&secret[15..]), "{odd}");
    }

    #[test]
    fn a_file_without_a_key_is_told_with_its_name() {
        for text in ["", "# nothing\n", "age1abc\n", "age-encryption.org/v1\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n"]
        {
            let error = parse(text).expect_err("no key");
            assert!(error.starts_with("/keys.txt holds no usable age identity"), "{error}");
        }
        let error = Keys::read(Path::new("/nonexistent/keys")).expect_err("no file");
        assert_eq!(error.to_string(), "cannot read the age identities in /nonexistent/keys");
    }

    #[test]
    fn an_unknown_recipient_is_named_and_a_secret_key_is_not_repeated() {
        for text in ["", "age1short", "ssh-ed25519 AAAA", "alice@example.org"] {
            let error = recipient(text).expect_err("no recipient").to_string();
            assert!(error.starts_with(&format!("`{text}` is no age recipient")), "{error}");
        }
        let secret = Identity::generate().to_string().expose_secret().to_owned();
        let error = recipient(&secret).expect_err("no recipient").to_string();
        assert!(!error.contains(&secret[15..]), "{error}");
        assert!(recipient(&Identity::generate().to_public().to_string()).is_ok());
    }
}
