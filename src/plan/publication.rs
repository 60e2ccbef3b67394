//! The publication on the primary: which schemas and chunks it gets, and what speaks against it.

use std::collections::BTreeSet;

use super::hold::{Hold, Reason};
use super::step::Step;
use super::{Wanted, chunks, scope};
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::{DatabaseSeen, PublicationSeen};
use crate::model::pack::{MigrationId, Pack};

/// The steps a publication needs, and what there is to subscribe to afterwards.
#[derive(Debug, Default)]
pub struct Publication {
    /// On the primary.
    pub steps: Vec<Step>,
    /// What it covers after these steps; `None`: nothing that should be subscribed to.
    pub after: Option<PublicationSeen>,
}

/// Plans the publication. `database`: the primary's; `None` when this plan makes it. `postponed`: migrations it lacks
/// when it comes to that.
pub fn plan(
    wanted: &Wanted<'_>,
    primary: &NodeName,
    database: Option<&DatabaseSeen>,
    postponed: &[MigrationId],
    holds: &mut Vec<Hold>,
) -> Publication {
    let objections = objections(database);
    let has_objection = !objections.is_empty();
    let name = wanted.desired.publication.name.as_str();
    holds.extend(objections.into_iter().map(|reason| Hold::new(name, reason)));

    let node = primary.clone();
    match (database.and_then(|database| database.publication.as_ref()), wanted.packs) {
        (None, None) => {
            holds.extend(database.map(|_| Hold::new(name, Reason::NeedsUp)));
            Publication::default()
        }
        (None, Some(_)) if has_objection || !postponed.is_empty() => Publication::default(),
        (None, Some(packs)) => {
            let schemas = scope::with_chunk_schemas(&scope::schemas(wanted.desired, Some(packs)), packs, database);
            let after = PublicationSeen { schemas: schemas.clone(), ..PublicationSeen::default() };
            with_chunks(vec![Step::CreatePublication { node: node.clone(), schemas }], after, &node, database)
        }
        (Some(there), _) if there.all_tables => Publication::default(),
        // Whoever applies no packs does not know what they publish: what is published stays.
        (Some(there), None) => with_chunks(Vec::new(), there.clone(), &node, database),
        (Some(there), Some(packs)) => {
            let schemas = scope::with_chunk_schemas(&scope::schemas(wanted.desired, Some(packs)), packs, database);
            let not_there = Pack::all_schemas(packs.iter().filter(|pack| is_postponed(pack, postponed)));
            // Publishing a table without identity would make the application's UPDATEs on it fail.
            let missing: BTreeSet<Ident> = schemas
                .difference(&there.schemas)
                .filter(|schema| !not_there.contains(*schema))
                .filter(|schema| without_identity(database).all(|table| table.schema != **schema))
                .cloned()
                .collect();
            if missing.is_empty() {
                return with_chunks(Vec::new(), there.clone(), &node, database);
            }
            let mut after = there.clone();
            after.schemas.extend(missing.iter().cloned());
            with_chunks(vec![Step::PublishSchemas { node: node.clone(), schemas: missing }], after, &node, database)
        }
    }
}

/// The same with the chunks that no schema covers: in one plan, for a subscriber must not see a publication without them.
///
/// Where TimescaleDB can publish them itself, it is told to, and their hypertables become members by name, which it asks
/// for. What it did not get to do is still added here.
fn with_chunks(
    mut steps: Vec<Step>,
    mut after: PublicationSeen,
    node: &NodeName,
    database: Option<&DatabaseSeen>,
) -> Publication {
    let roots = left_to_timescale(database, &after);
    if !roots.is_empty() && database.is_some_and(|database| database.auto_publication == Some(false)) {
        steps.push(Step::EnableAutoPublication { node: node.clone() });
    }
    let new_roots: BTreeSet<TableName> = roots.difference(&after.members).cloned().collect();
    let chunks = database.into_iter().flat_map(|database| &database.chunks);
    // TimescaleDB adds the chunks of a root that becomes a member.
    let come_along = chunks.filter(|(_, chunk)| new_roots.contains(&chunk.hypertable)).map(|(name, _)| name.clone());
    after.members.extend(come_along);
    let uncovered = chunks::unpublished(database, &after);
    for tables in [new_roots, uncovered].into_iter().filter(|tables| !tables.is_empty()) {
        after.members.extend(tables.iter().cloned());
        steps.push(Step::PublishTables { node: node.clone(), tables });
    }
    Publication { steps, after: Some(after) }
}

/// Published hypertables whose chunks have no schema of their own, where TimescaleDB can publish new chunks itself.
fn left_to_timescale(database: Option<&DatabaseSeen>, publication: &PublicationSeen) -> BTreeSet<TableName> {
    let database = database.filter(|database| database.auto_publication.is_some());
    let hypertables = database.into_iter().flat_map(|database| database.hypertables.values());
    hypertables
        .filter(|hypertable| publication.covers(&hypertable.name) && scope::is_timescale_own(&hypertable.chunk_schema))
        .map(|hypertable| hypertable.name.clone())
        .collect()
}

fn is_postponed(pack: &Pack, postponed: &[MigrationId]) -> bool {
    postponed.iter().any(|id| id.pack == pack.name)
}

/// What would be published and must not be as it is.
fn objections(database: Option<&DatabaseSeen>) -> Vec<Reason> {
    let Some(database) = database else { return Vec::new() };
    let publication = database.publication.iter();
    let of_publication = publication.flat_map(|publication| {
        let catalog = publication.schemas.iter().filter(|schema| scope::is_of_one_node(schema));
        let everything = publication.all_tables.then_some(Reason::PublishesEverything);
        everything.into_iter().chain(catalog.cloned().map(Reason::PublishesCatalog))
    });
    let compressed = database.hypertables.values().filter(|hypertable| hypertable.compressed);
    let compressed_chunks = chunks::compressed(database);
    of_publication
        .chain(without_identity(Some(database)).cloned().map(Reason::NoReplicaIdentity))
        .chain(compressed.map(|hypertable| Reason::Compressed(hypertable.name.clone())))
        .chain(compressed_chunks.map(|name| Reason::CompressedChunk(name.clone())))
        .chain(database.risky_settings.iter().cloned().map(Reason::RiskySetting))
        .collect()
}

fn without_identity(database: Option<&DatabaseSeen>) -> impl Iterator<Item = &TableName> {
    let tables = database.into_iter().flat_map(|database| &database.tables);
    tables.filter(|(_, seen)| !seen.has_identity).map(|(table, _)| table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chunk::Chunk;
    use crate::model::cluster::Mode;
    use crate::model::observed::TableSeen;
    use crate::plan::simulate::world::{ident, table};
    use crate::plan::simulate::{Cluster, finished};

    /// A cluster whose publication exists, and its primary's database.
    fn published(packs: &[&str]) -> (Cluster, DatabaseSeen) {
        let cluster = finished(&[Mode::Logical], packs);
        let observed = cluster.observe();
        let server = observed.nodes[&primary()].server.present().expect("it runs");
        let database = server.database.present().expect("it is there").clone();
        (cluster, database)
    }

    fn primary() -> NodeName {
        crate::plan::simulate::world::node_name("primary-1")
    }

    fn planned(
        cluster: &Cluster,
        packs: bool,
        database: &DatabaseSeen,
        postponed: &[MigrationId],
    ) -> (Publication, String) {
        let packs = packs.then_some(cluster.packs.as_slice());
        let wanted = Wanted { desired: &cluster.desired, packs, agent: None };
        let mut holds = Vec::new();
        let publication = plan(&wanted, &primary(), Some(database), postponed, &mut holds);
        let reasons: Vec<&str> = holds.iter().map(|hold| hold.reason.label()).collect();
        (publication, reasons.join(" "))
    }

    fn labels(publication: &Publication) -> String {
        publication.steps.iter().map(Step::label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_that_covers_everything_needs_nothing() {
        let (cluster, database) = published(&["trading", "metering"]);
        for packs in [true, false] {
            let (publication, reasons) = planned(&cluster, packs, &database, &[]);
            assert_eq!((labels(&publication), reasons), (String::new(), String::new()));
            assert_eq!(publication.after, database.publication);
        }
    }

    #[test]
    fn a_new_one_is_made_with_its_chunks_by_whoever_knows_the_packs() {
        let (cluster, mut database) = published(&["trading", "metering"]);
        database.publication = None;
        let chunk = table("_timescaledb_internal._hyper_1_1_chunk");
        let hypertable = table("metering.readings");
        database.chunks.insert(chunk.clone(), Chunk { hypertable, slices: Vec::new(), compressed: false });
        let (publication, reasons) = planned(&cluster, true, &database, &[]);
        assert_eq!((labels(&publication).as_str(), reasons.as_str()), ("create_publication publish_tables", ""));
        assert!(publication.after.is_some_and(|after| after.members.contains(&chunk)));
        let (publication, reasons) = planned(&cluster, false, &database, &[]);
        assert_eq!((labels(&publication).as_str(), reasons.as_str()), ("", "needs_up"));
        assert_eq!(publication.after, None);
    }

    #[test]
    fn chunks_without_a_schema_of_their_own_are_left_to_timescaledb_where_it_can() {
        let (cluster, mut database) = published(&["metering"]);
        assert_eq!(labels(&planned(&cluster, false, &database, &[]).0), "");
        database.auto_publication = Some(false);
        let (publication, _) = planned(&cluster, false, &database, &[]);
        let node = primary();
        let tables = BTreeSet::from([table("metering.readings")]);
        assert_eq!(
            publication.steps,
            [Step::EnableAutoPublication { node: node.clone() }, Step::PublishTables { node, tables }]
        );
        database.auto_publication = Some(true);
        database.publication = publication.after;
        assert_eq!(labels(&planned(&cluster, false, &database, &[]).0), "");
        let (cluster, mut database) = published(&["trading"]);
        database.auto_publication = Some(false);
        assert_eq!(labels(&planned(&cluster, false, &database, &[]).0), "", "their schema is published");
    }

    #[test]
    fn schemas_whose_migrations_wait_are_not_published_yet() {
        let (cluster, mut database) = published(&["trading", "metering"]);
        let postponed = [MigrationId { pack: "metering".into(), number: 1, what: "what".into() }];
        if let Some(publication) = &mut database.publication {
            publication.schemas.clear();
        }
        let (publication, _) = planned(&cluster, true, &database, &postponed);
        let schemas = ["trading", "trading_chunks"].map(ident).into();
        assert_eq!(publication.steps, [Step::PublishSchemas { node: primary(), schemas }]);
        database.publication = None;
        assert_eq!(labels(&planned(&cluster, true, &database, &postponed).0), "");
    }

    #[test]
    fn a_table_without_identity_keeps_its_schema_unpublished() {
        let (mut cluster, mut database) = published(&["trading"]);
        database.tables.insert(table("billing.loose"), TableSeen::default());
        cluster.desired.publication.schemas = Some(["trading", "billing"].map(ident).to_vec());
        let (publication, reasons) = planned(&cluster, true, &database, &[]);
        assert_eq!((labels(&publication).as_str(), reasons.as_str()), ("", "no_replica_identity"));
        assert!(publication.after.is_some(), "what is published stays");
        database.publication = None;
        assert_eq!(planned(&cluster, true, &database, &[]).0.after, None);
    }

    #[test]
    fn everything_is_more_than_anybody_should_subscribe_to() {
        let (cluster, mut database) = published(&["trading"]);
        database.publication = Some(PublicationSeen { all_tables: true, ..PublicationSeen::default() });
        let (publication, reasons) = planned(&cluster, true, &database, &[]);
        assert_eq!((labels(&publication).as_str(), reasons.as_str()), ("", "publishes_all_tables"));
        assert_eq!(publication.after, None);
    }
}
