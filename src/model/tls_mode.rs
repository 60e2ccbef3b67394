//! How much encryption is asked for of a server that is no node of ours, in libpq's words
//! (<https://www.postgresql.org/docs/17/libpq-ssl.html>).

/// What is asked of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// `disable`: no encryption.
    Disable,
    /// `allow`, `prefer`: encryption where the server has it, whoever it is.
    Prefer,
    /// `require`: encryption, whoever it is.
    Require,
    /// `verify-ca`: its certificate is signed by somebody we trust.
    VerifyCa,
    /// `verify-full`: and it is for that host.
    VerifyFull,
}

impl TlsMode {
    /// All of them, the laxest first.
    pub const ALL: [Self; 5] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// libpq's word for it; `None`: it knows no such word.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_libpqs() {
        for mode in TlsMode::ALL {
            assert_eq!(TlsMode::from_word(mode.word()), Some(mode));
        }
        assert_eq!(TlsMode::from_word("allow"), Some(TlsMode::Prefer));
        assert_eq!(TlsMode::from_word("VERIFY-FULL"), None);
    }
}
