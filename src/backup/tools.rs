//! PostgreSQL's own client programs, of the server's major version: this host's, or those of an image in a helper container.
//!
//! In: a server's address and a [`Tool`]. Out: its output as a reader, its input as a writer, or what it printed. Bulk data
//! goes through pipes and FIFOs, never through the engine. A program that fails makes its reader fail at its end, with the
//! end of what it said; one whose reader or writer is dropped is ended. A password is in a file for libpq and nowhere else.
//!
//! ```no_run
//! # use hypertide::backup::tools::{Tool, ToolError, Toolbox};
//! # use hypertide::backup::pipeline::{self, Seal};
//! # use hypertide::model::{backup::ObjectKey, names::{Ident, NodeName}};
//! # use hypertide::{site::Site, store::Store};
//! # async fn example(site: &Site, node: &NodeName, database: &Ident, how: &Seal, store: &dyn Store, key: &ObjectKey)
//! #     -> Result<(), Box<dyn std::error::Error>> {
//! let tools = Toolbox::for_node(site, node, 5434, 17).await?;
//! let dump = Tool::new("pg_dump").args(["--format=custom", "--compress=none"]).connected_to(database);
//! let archive = tools.reading(&dump)?;                                // `Read`, `Source`
//! pipeline::seal(archive, how, store, key, |_| ()).await?;
//! let listing = Tool::new("pg_restore").arg("--list").file("--use-list=", "list", b"1; 2; 3".to_vec());
//! let (input, output) = tools.through(&listing)?;                     // a writer and a reader, each for a thread
//! let version = tools.version("pg_dump").await?;                            // `17.6`
//! # Ok(())
//! # }
//! ```

mod contained;
mod error;
mod feed;
mod host;
mod running;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

pub use error::ToolError;
pub use feed::{Fed, feed};
pub use stream::{ToolReader, ToolWriter};

use crate::docker::engine::Engine;
use crate::docker::keeper::{Attached, DataVolume, Keeper, KeeperSpec};
use crate::docker::shared_dir::SharedPlace;
use crate::docker::{image, labels, spec};
use crate::model::names::{ClusterName, Ident, NodeName};
use crate::plan::provision::SUPERUSER;
use crate::postgres::password::Password;
use crate::site::{Reach, ReachError, Site};
use contained::Contained;
use host::OnHost;

/// The name under which tools show in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "hypertide";

/// A program and what it is to be given.
#[derive(Clone, Debug)]
pub struct Tool {
    program: String,
    args: Vec<Arg>,
}

#[derive(Clone, Debug)]
enum Arg {
    Text(String),
    File { prefix: String, name: String, bytes: Vec<u8> },
    Connection(Ident),
}

impl Tool {
    /// A program without arguments.
    pub fn new(program: &str) -> Self {
        Self { program: program.to_owned(), args: Vec::new() }
    }

    /// The name of the program.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, text: impl Into<String>) -> Self {
        self.args.push(Arg::Text(text.into()));
        self
    }

    /// Several more.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(texts.into_iter().map(|text| Arg::Text(text.into())));
        self
    }

    /// A small file with nothing secret in it, and the argument that names it: `prefix` and its path, wherever that is.
    #[must_use]
    pub fn file(mut self, prefix: &str, name: &str, bytes: Vec<u8>) -> Self {
        self.args.push(Arg::File { prefix: prefix.to_owned(), name: name.to_owned(), bytes });
        self
    }

    /// `--dbname=…` for the toolbox's server and this database, without a password.
    #[must_use]
    pub fn connected_to(mut self, database: &Ident) -> Self {
        self.args.push(Arg::Connection(database.clone()));
        self
    }

    /// The whole command; files are put somewhere by `put`, which tells their paths.
    fn command(
        &self,
        server: Option<&ServerAddress>,
        mut put: impl FnMut(&str, &[u8]) -> Result<String, ToolError>,
    ) -> Result<Vec<String>, ToolError> {
        let render = |arg: &Arg| match arg {
            Arg::Text(text) => Ok(text.clone()),
            Arg::File { prefix, name, bytes } => Ok(format!("{prefix}{}", put(name, bytes)?)),
            Arg::Connection(database) => match server {
                Some(server) => Ok(format!("--dbname={}", server.connection(database))),
                None => Err(ToolError::NoServer { program: self.program.clone() }),
            },
        };
        self.args.iter().map(render).collect()
    }
}

/// How tools reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host name, address, or the directory of a socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Its password, where one is needed.
    pub password: Option<Password>,
    /// Further settings of libpq (`sslmode`, …), nothing secret.
    pub options: Vec<(String, String)>,
    /// PEM of the authorities whose certificates are trusted, where any are asked for.
    pub trusted: Option<String>,
}

impl ServerAddress {
    /// A connection string of libpq, without the password.
    fn connection(&self, database: &Ident) -> String {
        let port = self.port.to_string();
        let own = [
            ("host", self.host.as_str()),
            ("port", port.as_str()),
            ("user", self.user.as_str()),
            ("dbname", database.as_str()),
        ];
        let all = own.into_iter().chain(self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        all.map(|(key, value)| format!("{key}={}", quoted(value))).collect::<Vec<_>>().join(" ")
    }

    /// Has libpq look for the authorities in a file, wherever its owner has put [`ServerAddress::trusted`].
    fn trust(&mut self, path: String) {
        self.options.push(("sslrootcert".to_owned(), path));
    }

    /// libpq's password file, when there is a password. It holds for whatever the tool connects to: that is one server.
    fn pgpass(&self) -> Option<String> {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let password = self.password.as_ref()?;
        Some(format!("*:*:*:{}:{}\n", escaped(&self.user), escaped(password.reveal())))
    }
}

/// A value in a connection string: <https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What a running tool has on its input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Streams {
    input: bool,
    output: bool,
}

/// Where tools are and which server they are for. Dropping it ends nothing that still runs; a helper container goes with
/// the last tool in it.
#[derive(Debug)]
pub struct Toolbox {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Host(OnHost),
    Contained(Contained),
}

impl Toolbox {
    /// Tools for a node of a cluster whose server has this major version.
    pub async fn for_node(site: &Site, node: &NodeName, port: u16, major: u32) -> Result<Self, ToolError> {
        if let Some(bin) = host::find(major).await {
            return Self::on_host(site, node, port, bin).await;
        }
        Self::helper(site, node).await
    }

    /// This host's tools for a node; see [`Toolbox::for_node`], which chooses.
    pub async fn on_host(site: &Site, node: &NodeName, port: u16, bin: PathBuf) -> Result<Self, ToolError> {
        let address = site.address(node, port);
        Ok(Self { place: Place::Host(OnHost::new(bin, Some(superuser(site, node, address).await?))?) })
    }

    /// A helper container with the tools of the node's own image; see [`Toolbox::for_node`], which chooses.
    pub async fn helper(site: &Site, node: &NodeName) -> Result<Self, ToolError> {
        let cluster = &site.desired.cluster;
        let container = cluster.container(node);
        let image = site.engine.container_image(&container).await?;
        let spec = KeeperSpec {
            kind: labels::KIND_HELPER,
            cluster: Some(cluster),
            image: &image,
            // The same network, without the way through the bridge: that costs a tenth of a dump.
            attached: Attached::Container(container),
            volume: DataVolume::None,
        };
        let keeper = Keeper::start(&site.engine, &shared_place(site), &spec).await?;
        let server = superuser(site, node, ("127.0.0.1".to_owned(), spec::POSTGRES_PORT)).await?;
        Ok(Self { place: Place::Contained(Contained::new(keeper, Some(server)).await?) })
    }

    /// Tools for a server that is no node: this host's, else those of any local image with the same major version.
    pub async fn for_server(
        engine: Option<&Engine>,
        cluster: Option<&ClusterName>,
        server: ServerAddress,
        major: u32,
    ) -> Result<Self, ToolError> {
        if let Some(bin) = host::find(major).await {
            return Ok(Self { place: Place::Host(OnHost::new(bin, Some(server))?) });
        }
        let Some(engine) = engine else { return Err(ToolError::NoTools { major }) };
        let Some(image) = image::with_postgres(engine.client(), major).await? else {
            return Err(ToolError::NoTools { major });
        };
        let spec = KeeperSpec {
            kind: labels::KIND_HELPER,
            cluster,
            image: &image,
            attached: Attached::Host,
            volume: DataVolume::None,
        };
        let keeper = Keeper::start(engine, &SharedPlace::Host, &spec).await?;
        Ok(Self { place: Place::Contained(Contained::new(keeper, Some(server)).await?) })
    }

    /// The tools in a container that is there already.
    pub fn inside(keeper: Arc<Keeper>, server: Option<ServerAddress>) -> Self {
        Self { place: Place::Contained(Contained::without_password(keeper, server)) }
    }

    /// Begins a tool and gives its output, which fails at its end when the tool did. Needs a runtime around it, as the next two.
    pub fn reading(&self, tool: &Tool) -> Result<ToolReader, ToolError> {
        let (_, output, _) = self.begin(tool, Streams { input: false, output: true })?;
        Ok(output.expect("asked for"))
    }

    /// Begins a tool and gives its input. [`ToolWriter::finish`] tells how it ended.
    pub fn writing(&self, tool: &Tool) -> Result<ToolWriter, ToolError> {
        let (input, _, _) = self.begin(tool, Streams { input: true, output: false })?;
        Ok(input.expect("asked for"))
    }

    /// Begins a tool and gives both. Each needs a thread of its own, or both sides wait for each other.
    pub fn through(&self, tool: &Tool) -> Result<(ToolWriter, ToolReader), ToolError> {
        let (input, output, _) = self.begin(tool, Streams { input: true, output: true })?;
        Ok((input.expect("asked for"), output.expect("asked for")))
    }

    /// Runs a tool to its end and gives what it printed, at most a megabyte.
    pub async fn run(&self, tool: &Tool) -> Result<String, ToolError> {
        let (_, _, running) = self.begin(tool, Streams { input: false, output: false })?;
        running.ended().await
    }

    /// The version of a program, `17.6`.
    pub async fn version(&self, program: &str) -> Result<String, ToolError> {
        let told = self.run(&Tool::new(program).arg("--version")).await?;
        version_in(&told).map(str::to_owned).ok_or_else(|| ToolError::Odd { program: program.to_owned(), told })
    }

    /// Where the tools are, for people: `host` or a container's name.
    pub fn whereabouts(&self) -> &str {
        match &self.place {
            Place::Host(_) => "host",
            Place::Contained(contained) => contained.keeper().name(),
        }
    }

    fn begin(
        &self,
        tool: &Tool,
        streams: Streams,
    ) -> Result<(Option<ToolWriter>, Option<ToolReader>, stream::Watched), ToolError> {
        match &self.place {
            Place::Host(host) => host.begin(tool, streams),
            Place::Contained(contained) => contained.begin(tool, streams),
        }
    }
}

/// Where this process shares directories with containers of a cluster.
pub fn shared_place(site: &Site) -> SharedPlace {
    match site.reach {
        Reach::Published => SharedPlace::Host,
        Reach::Network => SharedPlace::Volume(site.desired.cluster.agent_volume()),
    }
}

async fn superuser(site: &Site, node: &NodeName, (host, port): (String, u16)) -> Result<ServerAddress, ToolError> {
    let secrets = site.secrets(&[site.desired.cluster.container(node)]).await?.ok_or(ReachError::NoSecrets)?;
    let password = Some(secrets.superuser().clone());
    Ok(ServerAddress { host, port, user: SUPERUSER.to_owned(), password, options: Vec::new(), trusted: None })
}

/// The version in `pg_dump (PostgreSQL) 17.6 (Debian 17.6-1)`.
fn version_in(told: &str) -> Option<&str> {
    told.split_once("(PostgreSQL) ")?.1.split_whitespace().next()
}

/// The major version in `17.6`, `18beta1`.
fn major_of(version: &str) -> Option<u32> {
    let digits = version.find(|c: char| !c.is_ascii_digit()).map_or(version, |end| &version[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_the_programs_print() {
        for (told, version, major) in [
            ("pg_dump (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)\n", "17.6", 17),
            ("pg_restore (PostgreSQL) 18beta1", "18beta1", 18),
        ] {
            assert_eq!(version_in(told), Some(version));
            assert_eq!(version_in(told).and_then(major_of), Some(major));
        }
        assert_eq!(version_in("sh: pg_dump: not found"), None);
    }

    #[test]
    fn the_password_is_in_the_password_file_and_nowhere_else() {
        let server = ServerAddress {
            host: "/run/it's".into(),
            port: 5432,
            user: "a:b".into(),
            password: Some(Password::new("s\\e:cret")),
            options: vec![("sslmode".into(), "require".into())],
            trusted: None,
        };
        let database = Ident::new("it's \\ mine").expect("valid");
        let connection = server.connection(&database);
        assert_eq!(connection, r"host='/run/it\'s' port='5432' user='a:b' dbname='it\'s \\ mine' sslmode='require'");
        // libpq's rules, as another reader of them understands them.
        let parsed: tokio_postgres::Config = connection.parse().expect("a connection string");
        assert_eq!(parsed.get_dbname(), Some("it's \\ mine"));
        assert_eq!(server.pgpass().as_deref(), Some("*:*:*:a\\:b:s\\\\e\\:cret\n"));
        assert!(!format!("{server:?}").contains("cret"));
    }

    #[test]
    fn a_tool_without_a_server_cannot_connect() {
        let tool = Tool::new("pg_dump").connected_to(&Ident::new("d").expect("valid"));
        let command = tool.command(None, |_, _| Ok(String::new()));
        assert!(matches!(command, Err(ToolError::NoServer { .. })), "{command:?}");
    }

    #[test]
    fn files_are_named_where_they_were_put() {
        let tool = Tool::new("pg_dump").arg("-Fc").file("--filter=", "tables", b"include table a".to_vec());
        let command = tool.command(None, |name, bytes| Ok(format!("/d/{name}-{}", bytes.len())));
        assert_eq!(command.expect("no server is needed"), ["-Fc", "--filter=/d/tables-15"]);
    }
}
