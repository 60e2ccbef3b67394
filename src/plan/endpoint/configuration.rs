//! The configuration of an endpoint's PgBouncer, as text. Pure; there is no password in it.
//!
//! What each line means: <https://www.pgbouncer.org/config.html>.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::step::EndpointSpec;
use crate::plan::provision::POOLER;

/// Where the file with the pooler's own password lies in the container, and the configuration itself.
pub const USERS: &str = "/etc/hypertide/pgbouncer.users";
/// See [`USERS`].
pub const FILE: &str = "/etc/hypertide/pgbouncer.ini";
/// The certificate that clients are shown, and its key, where connections are encrypted.
pub const CERTIFICATE: &str = "/etc/hypertide/endpoint.crt";
/// See [`CERTIFICATE`].
pub const KEY: &str = "/etc/hypertide/endpoint.key";

/// Lines of an endpoint that has a certificate, each with its reason.
const ENCRYPTED: [(&str, &str, &str); 3] = [
    ("client_tls_sslmode", "require", "who does not encrypt is not let in"),
    ("client_tls_cert_file", CERTIFICATE, "what clients are shown"),
    ("client_tls_key_file", KEY, "proves that it is ours"),
];

/// Each line with its reason. Seconds, where a number is a time.
const FIXED: [(&str, &str, &str); 20] = [
    ("listen_addr", "*", "Docker publishes it where the configuration says"),
    ("unix_socket_dir", "", "nobody else is in the container"),
    (
        "auth_type",
        "scram-sha-256",
        "the proof that a client gives is passed on to the server, which has the same verifier",
    ),
    ("auth_file", USERS, "the pooler's own password and nobody else's"),
    ("auth_user", POOLER, "asks the server for verifiers"),
    ("auth_query", "select role_name, verifier from hypertide.login_verifier($1)", "see sql/setup/pooler.sql"),
    ("admin_users", POOLER, "nobody else may pause or lead it elsewhere"),
    ("stats_users", "", "nor see who is connected"),
    ("max_prepared_statements", "200", "prepared statements work also when each transaction gets another connection"),
    ("max_client_conn", "1000", "waiting here costs kilobytes, a server's process megabytes"),
    ("ignore_startup_parameters", "extra_float_digits", "JDBC's, which means nothing to servers since version 12"),
    ("server_login_retry", "1", "a server that restarts is back within a second"),
    ("server_connect_timeout", "5", "a frozen server must not be waited for"),
    ("server_fast_close", "1", "connections to a node that it no longer leads to end with their transaction"),
    ("query_wait_timeout", "120", "how long a client is held at most, by a promotion or for want of a connection"),
    ("client_login_timeout", "120", "the same for one that is logging in"),
    ("dns_max_ttl", "1", "a container that was made anew has another address"),
    ("dns_nxdomain_ttl", "1", "and none while it is stopped"),
    ("log_connections", "0", "health checks would fill the log"),
    ("log_disconnections", "0", "the same"),
];

/// The whole file, for an endpoint that leads to these hosts. The database's name needs no quoting: `config` sees to that.
pub fn text(spec: &EndpointSpec, hosts: &BTreeSet<String>, port: u16) -> String {
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let database = spec.database.as_str();
    let connections = spec.connections;
    let mut text = format!(
        "; Written by hypertide, which writes it again when the endpoint is to lead elsewhere.\n\
         [databases]\n\
         {database} = dbname={database} host={} port={port}\n\
         \n\
         [pgbouncer]\n\
         listen_port = {port}\n\
         auth_dbname = {database}\n\
         pool_mode = {}\n\
         ; Of all roles together. One role may have all of them.\n\
         max_db_connections = {connections}\n\
         default_pool_size = {connections}\n",
        hosts.join(","),
        spec.pooling.word()
    );
    let encrypted = ENCRYPTED.iter().filter(|_| spec.certificate.is_some());
    for (key, value, why) in FIXED.iter().chain(encrypted) {
        let line = format!("{key} = {value}");
        writeln!(text, "; {why}\n{}", line.trim_end()).expect("a string takes every write");
    }
    text
}

/// The file with the pooler's own password. It is made of characters that need no quoting.
pub fn users(password: &str) -> String {
    format!("\"{POOLER}\" \"{password}\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::endpoint::{Access, Pooling};
    use crate::model::names::Ident;

    #[test]
    fn reads_as_reviewed() {
        let spec = EndpointSpec {
            access: Access::ReadOnly,
            port: 5433,
            bind: std::net::Ipv4Addr::LOCALHOST.into(),
            pooling: Pooling::Transaction,
            database: Ident::new("trading_data").expect("valid"),
            connections: 40,
            image: "image".into(),
            certificate: None,
        };
        let hosts = ["trading-replica-1", "trading-replica-2"].map(str::to_owned).into();
        let plain = text(&spec, &hosts, 5432);
        insta::assert_snapshot!(plain);
        let encrypted = text(&EndpointSpec { certificate: Some("digest".into()), ..spec }, &hosts, 5432);
        let added = encrypted.strip_prefix(plain.as_str()).expect("nothing else changes");
        assert_eq!(
            added.lines().filter(|line| !line.starts_with(';')).collect::<Vec<_>>(),
            [
                "client_tls_sslmode = require",
                "client_tls_cert_file = /etc/hypertide/endpoint.crt",
                "client_tls_key_file = /etc/hypertide/endpoint.key"
            ]
        );
    }
}
