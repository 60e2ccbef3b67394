//! Opening the server a backup is taken from: a node of a cluster, or any database by its URL.

use futures_util::FutureExt as _;

use super::Origin;
use crate::backup::error::BackupError;
use crate::backup::external::External;
use crate::backup::tools::Toolbox;
use crate::docker::engine::Engine;
use crate::model::cluster::Role;
use crate::model::names::NodeName;
use crate::postgres::contents::source;
use crate::postgres::session::{Session, Target};
use crate::site::Site;

impl<'a> Origin<'a> {
    /// A database without a cluster. Without an engine the tools have to be on this host.
    pub async fn external(engine: Option<&'a Engine>, external: &External) -> Result<Self, BackupError> {
        let session = external.session().await?;
        let major = source::facts(&session).await?.postgres_major;
        let tools = Toolbox::for_server(engine, None, external.server.clone(), major).boxed_local();
        let database = external.database.clone();
        Ok(Self { session, primary: None, tools, database, node: None, role: None, image: None })
    }

    /// A node of a cluster; `port` is the one that leads to it on the host. `primary` is for a standby, and need not answer.
    pub async fn node(
        site: &'a Site,
        node: &NodeName,
        port: u16,
        role: Role,
        primary: Option<&Target>,
    ) -> Result<Self, BackupError> {
        let database = site.desired.database.clone();
        let session = Session::watch(&site.target(node, port, &database)?).await?;
        let major = source::facts(&session).await?.postgres_major;
        let whose = node.clone();
        let tools = async move { Toolbox::for_node(site, &whose, port, major).await }.boxed_local();
        let primary = match primary.filter(|_| role == Role::Standby) {
            Some(primary) => Session::watch(primary).await.ok(),
            None => None,
        };
        let container = site.desired.cluster.container(node);
        Ok(Self {
            session,
            primary,
            tools,
            database,
            node: Some(node.to_string()),
            role: Some(role.to_string()),
            image: Some(site.engine.container_image(&container).await?),
        })
    }
}
