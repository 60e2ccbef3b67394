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

    /// Another password that only who has this one can tell, always the same for the same purpose. For what became necessary
    /// after the files were written that hold this one, many copies of which there are.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> Self {
        use base64::Engine as _;
        use sha2::Digest as _;
        let digest = sha2::Sha256::new().chain_update(purpose).chain_update([0]).chain_update(&self.0).finalize();
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..24]))
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
        for password in [password.derived("a purpose"), password] {
            assert_eq!(password.reveal().len(), 32);
            assert!(password.reveal().chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        }
    }

    #[test]
    fn a_derived_one_depends_on_purpose_and_origin() {
        let (one, other) = (Password::new("one"), Password::new("other"));
        assert_eq!(one.derived("a"), one.derived("a"));
        assert_ne!(one.derived("a"), one.derived("b"));
        assert_ne!(one.derived("a"), other.derived("a"));
    }
}
