//! Passwords and their verifiers. A password never prints.
//!
//! Servers are only ever sent the SCRAM verifier, so that no statement log can hold a password.

use std::fmt;

use postgres_protocol::password::scram_sha_256;

/// A password. `Debug` and `Display` hide it; [`Password::reveal`] is called only where it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password as it stands in a file.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 192 random bits as 32 URL-safe characters: none of them needs quoting in a password file or a URL.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        use base64::Engine as _;
        let mut bytes = [0_u8; 24];
        getrandom::fill(&mut bytes)?;
        Ok(Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The SCRAM-SHA-256 verifier PostgreSQL stores (RFC 5803 form), with a fresh salt.
    pub fn verifier(&self) -> String {
        scram_sha_256(self.0.as_bytes())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints() {
        let password = Password::new("correct horse");
        assert!(!format!("{password:?}").contains("horse"));
        assert!(!password.verifier().contains("horse"));
    }

    #[test]
    fn needs_no_quoting_anywhere() {
        let password = Password::generate().expect("randomness");
        assert_eq!(password.reveal().len(), 32);
        assert!(password.reveal().chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    }
}
