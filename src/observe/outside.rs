//! The part of a look that is about the outside: only where something is declared, or was made for it before.

use std::collections::BTreeMap;

use crate::error::in_one_line;
use crate::model::desired::DesiredNode;
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::{DatabaseSeen, Observed};
use crate::model::outside::{DeclaredTable, FilterSeen, OutsideSeen, PasswordSeen};
use crate::model::seen::Seen;
use crate::plan::outside::{self, PASSFILE};
use crate::plan::topology;
use crate::postgres;
use crate::postgres::session::{PostgresError, Session};
use crate::secrets;
use crate::site::{Reach, ReachError, Site};

/// Looks at the primary. `is_thorough`: also tries out row filters that are not in force yet.
pub(super) async fn look(site: &Site, nodes: &[DesiredNode], is_thorough: bool, observed: &mut Observed) {
    let Ok(primary) = topology::primary(nodes, observed) else { return };
    let Some(port) = nodes.iter().find(|node| node.name == primary).map(|node| node.port) else { return };
    let is_asked = database(&primary, observed)
        .is_some_and(|it| it.catalog.is_some() && (it.has_marks || !site.desired.outside.is_empty()));
    if !is_asked {
        return;
    }
    let seen = match read(site, &primary, port, is_thorough).await {
        Ok(seen) => Seen::Present(seen),
        Err(error) => Seen::unknown(in_one_line(&error)),
    };
    if let Some(database) = database(&primary, observed) {
        database.outside = seen;
    }
}

fn database<'a>(primary: &NodeName, observed: &'a mut Observed) -> Option<&'a mut DatabaseSeen> {
    observed.nodes.get_mut(primary)?.server.present_mut()?.database.present_mut()
}

async fn read(site: &Site, primary: &NodeName, port: u16, is_thorough: bool) -> Result<OutsideSeen, ReachError> {
    let declared = &site.desired.outside;
    let session = site.session(primary, port).await?;
    let reading = postgres::outside::read(&session, declared);
    let mut seen = session.promptly("look at what is declared to the outside", reading).await?;
    seen.refusals = site.refusals();
    let to_try = outside::filters_to_try(declared, &seen);
    if is_thorough && !to_try.is_empty() {
        let mut own = Session::connect(&site.target(primary, port, &site.desired.database)?).await?;
        seen.filters = try_filters(&mut own, &to_try).await?;
    }
    // The files are where people work, not where agents do.
    if site.reach == Reach::Published && !declared.subscriptions.is_empty() {
        let bytes = site.engine.read_file(&site.desired.cluster.container(primary), PASSFILE).await?;
        let on_node = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        let compared = |wanted: &_| secrets::outside::compare(&on_node, wanted);
        let passwords = declared.subscriptions.iter().map(|wanted| (wanted.name.clone(), compared(wanted)));
        seen.passwords = passwords.collect::<BTreeMap<Ident, PasswordSeen>>();
    }
    Ok(seen)
}

async fn try_filters(
    session: &mut Session,
    to_try: &[(&Ident, &DeclaredTable)],
) -> Result<BTreeMap<(Ident, TableName), FilterSeen>, PostgresError> {
    let mut tried = BTreeMap::new();
    for (publication, table) in to_try {
        if let Some(filter) = postgres::outside::try_filter(session, table).await? {
            tried.insert(((*publication).clone(), table.name.clone()), filter);
        }
    }
    Ok(tried)
}
