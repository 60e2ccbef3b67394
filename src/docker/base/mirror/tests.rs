//! The source lists of real hosts, and the mirror each of them uses.

use super::*;

fn mirror(files: &[(&str, &str)]) -> Option<String> {
    let files: Vec<(PathBuf, String)> =
        files.iter().map(|&(name, text)| (PathBuf::from(name), text.to_owned())).collect();
    pick(&files)
}

#[test]
fn takes_the_mirror_of_a_one_line_list() {
    let table = [
        ("deb http://m.example/debian bookworm main", Some("http://m.example/debian")),
        ("deb http://m.example/debian/ stable main contrib # ours", Some("http://m.example/debian")),
        ("deb\t[ arch=amd64 ] http://m.example/debian sid main", Some("http://m.example/debian")),
        (
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://m.example/x trixie main",
            Some("https://m.example/x"),
        ),
        ("# deb http://m.example/debian bookworm main", None),
        ("deb-src http://m.example/debian bookworm main", None),
        ("deb cdrom:[Debian 12]/ bookworm main", None),
        ("deb http://m.example/debian", None),
        ("deb https://user:secret@m.example/debian bookworm main", None),
        ("deb http://security.debian.org/debian-security bookworm-security main", None),
        ("deb http://archive.ubuntu.com/ubuntu noble main universe", None),
        ("deb https://packages.cloud.google.com/apt cloud-sdk-bookworm main", None),
        ("deb https://download.docker.com/linux/debian bookworm stable", None),
        (
            "deb [signed-by=/usr/share/keyrings/microsoft.gpg] https://packages.microsoft.com/debian/12/prod bookworm main",
            None,
        ),
        ("", None),
    ];
    for (line, wanted) in table {
        let got = mirror(&[("sources.list", line)]);
        assert_eq!(got.as_deref(), wanted, "{line}");
    }
}

#[test]
fn takes_the_mirror_of_a_deb822_file_past_comments_and_other_stanzas() {
    let text = "\
Types: deb
URIs: http://m.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
# http://snapshot.example/archive/debian/20250520T000000Z
URIs: http://m.example/debian/
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
";
    let got = mirror(&[("debian.sources", text)]);
    assert_eq!(got.as_deref(), Some("http://m.example/debian"));
}

#[test]
fn passes_over_stanzas_that_are_off_or_signed_by_somebody_else() {
    let stanza = "Types: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\n";
    assert!(mirror(&[("a.sources", stanza)]).is_some());
    for more in [
        "Enabled: no\n",
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n",
        "Signed-By: /usr/share/keyrings/vendor.gpg\n",
    ] {
        assert_eq!(mirror(&[("a.sources", &format!("{stanza}{more}"))]), None, "{more}");
    }
}

#[test]
fn prefers_the_mirror_that_is_called_after_debian() {
    let files = [
        ("sources.list", "deb http://vendor.example/apt stable main"),
        ("sources.list.d/a.list", "deb http://m.example/debian trixie main"),
    ];
    assert_eq!(mirror(&files).as_deref(), Some("http://m.example/debian"));
    assert_eq!(mirror(&files[..1]).as_deref(), Some("http://vendor.example/apt"));
}

#[test]
fn files_that_apt_ignores_are_ignored() {
    let line = "deb http://m.example/debian trixie main";
    assert_eq!(mirror(&[("a.list.save", line), ("b.sources.bak", line)]), None);
}

#[test]
fn security_updates_live_next_to_a_mirror_called_debian() {
    let places = update_suites("http://m.example/debian");
    assert_eq!(
        places,
        [
            ("http://m.example/debian".to_owned(), "trixie-updates"),
            ("http://m.example/debian-security".to_owned(), "trixie-security"),
        ]
    );
    assert_eq!(update_suites("http://m.example/x").len(), 1);
}
