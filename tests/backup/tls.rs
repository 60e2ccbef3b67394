//! A database that is reached by TLS alone: backed up when its certificate is what the URL asks for, and refused when it is not.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::shared::shared;
use crate::shelf::{Shelf, stocked};
use crate::world::World;

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Puts a file beside the server's own.
fn put(world: &World, name: &str, text: &str) {
    let script = format!("umask 077 && cat > $PGDATA/{name}");
    // One value in one row, and psql's own words around it.
    let lines: Vec<String> = text.lines().map(|line| format!("'{line}'")).collect();
    let rows = lines.join("), (");
    world.sql("primary", &format!("copy (select * from (values ({rows})) t) to program '{script}'"));
}

#[test]
fn a_server_is_believed_as_far_as_its_certificate_goes() {
    let world = shared();
    let dir = tempfile::tempdir().unwrap();
    let config = stocked(world, "sealed", dir.path());
    let (ours, others) = (authority("ours"), authority("others"));
    let key = KeyPair::generate().unwrap();
    // For the address, and not for `localhost`.
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours).unwrap();
    put(world, "server.crt", &certificate.pem());
    put(world, "server.key", &key.serialize_pem());
    world.sql("primary", "create role sealed superuser login password 'pw-of-sealed'");
    world.sql("primary", "alter system set ssl = on");
    world.sql("primary", "select pg_reload_conf()");
    world.eventually("the server has TLS", || world.sql("primary", "show ssl") == "on");

    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (trusted, strangers) = (file("ours.pem", ours.pem()), file("others.pem", others.pem()));
    let shelf = Shelf::disk(&config);
    let backup = |host: &str, mode: &str, roots: Option<&Path>| {
        let roots = roots.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default();
        let url = format!("postgres://sealed:pw-of-sealed@{host}:{}/sealed?sslmode={mode}{roots}", world.ports[0]);
        shelf.run(world, &["backup", "run", "--kind", "schema", "--url", &url])
    };
    for (host, mode, roots) in [
        ("127.0.0.1", "verify-full", Some(trusted.as_path())),
        ("localhost", "verify-ca", Some(&trusted)),
        ("localhost", "require", None),
        ("localhost", "prefer", Some(&strangers)),
    ] {
        let run = backup(host, mode, roots);
        assert_eq!(run.code, 0, "{host} {mode}: {}", run.stderr);
    }
    for (host, mode, roots, because) in [
        ("localhost", "verify-full", &trusted, "not valid for name"),
        ("127.0.0.1", "verify-full", &strangers, "UnknownIssuer"),
        ("localhost", "verify-ca", &strangers, "UnknownIssuer"),
        ("localhost", "require", &strangers, "UnknownIssuer"),
    ] {
        let run = backup(host, mode, Some(roots));
        assert_eq!(run.code, 1, "{host} {mode}: {}", run.stdout);
        assert!(run.stderr.contains(because), "{host} {mode}: {}", run.stderr);
        assert!(!run.stderr.contains("pw-of-sealed"), "{}", run.stderr);
    }

    world.sql("primary", "alter system reset ssl");
    world.sql("primary", "select pg_reload_conf()");
    world.eventually("the server has no TLS", || world.sql("primary", "show ssl") == "off");
    let run = backup("localhost", "require", None);
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stderr.contains("does not support TLS"), "{}", run.stderr);
    let files = shelf.files();
    assert_eq!(files.iter().filter(|file| file.ends_with("manifest.json")).count(), 4, "{files:?}");
}
