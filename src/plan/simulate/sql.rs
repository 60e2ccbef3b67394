//! Steps inside a server, as `postgres::setup` does them and as PostgreSQL and TimescaleDB answer.

use std::collections::BTreeSet;

use super::act::{Answer, Run, no};
use super::world::{
    Chunk, Database, Partitioned, Publication, RESERVED, Server, Slot, Subscription, Table, World, ident, table,
    verifier,
};
use crate::model::chunk::{ChunkToMirror, Hypertable, Partitioning};
use crate::model::cluster::{Edition, Seat};
use crate::model::names::{Ident, NodeName, TableName};
use crate::model::observed::SeatRow;
use crate::model::pack::{AppliedMigration, MigrationId};
use crate::plan::provision::{CATALOG_VERSION, ROLES, SUPERUSER};
use crate::plan::scope;
use crate::plan::step::{StandbySetting, Step};

pub fn simulate(world: &mut World, step: &Step, run: &Run<'_>) -> Answer {
    let name = &run.desired.publication.name;
    match step {
        Step::CreateRoles { node } => {
            let Some(passwords) = world.known_passwords() else { return no("there are no passwords") };
            let server = writable(world, node)?;
            for role in ROLES.into_iter().chain([SUPERUSER]) {
                server.roles.insert(ident(role), verifier(passwords, run.salt));
            }
            Ok(())
        }
        Step::AlignPasswords { node, from } => {
            let theirs = answering(world, from)?.roles.clone();
            writable(world, node)?.roles.extend(theirs);
            Ok(())
        }
        Step::CreateDatabase { node } => {
            writable(world, node)?.database.get_or_insert_with(Database::default);
            Ok(())
        }
        Step::InstallCatalog { node, seat } => {
            let row = SeatRow::new(node.as_str(), *seat, 1);
            let can_publish = world.edition == Edition::Community;
            let database = database(world, node)?;
            database.auto_publication = can_publish.then(|| database.auto_publication.unwrap_or_default());
            database.catalog.get_or_insert(row);
            database.catalog_version = CATALOG_VERSION;
            Ok(())
        }
        Step::RaiseEpoch { node, epoch } => {
            writable(world, node)?;
            let Some(row) = &mut database(world, node)?.catalog else { return no("hypertide.node does not exist") };
            *row = SeatRow::new(node.as_str(), Seat::Primary, *epoch);
            Ok(())
        }
        Step::CatchUp { node, with } => {
            answering(world, with)?;
            answering(world, node).map(|_| ())
        }
        Step::ApplyMigration { node, id, seat } => apply_migration(world, node, id, *seat, run),
        Step::CreatePublication { node, schemas } => {
            let database = with_catalog(world, node)?;
            if database.publications.contains_key(name) {
                return no("the publication exists already");
            }
            if let Some(absent) = schemas.iter().find(|schema| !database.has_schema(schema)) {
                return no(format!("schema {absent} does not exist"));
            }
            let publication = Publication { schemas: schemas.clone(), ..Publication::default() };
            database.publications.insert(name.clone(), publication);
            Ok(())
        }
        Step::PublishSchemas { node, schemas } => {
            let database = with_catalog(world, node)?;
            if let Some(absent) = schemas.iter().find(|schema| !database.has_schema(schema)) {
                return no(format!("schema {absent} does not exist"));
            }
            let Some(publication) = database.publications.get_mut(name) else { return no("there is no publication") };
            if publication.all_tables || publication.schemas.intersection(schemas).next().is_some() {
                return no("schema is already member of publication");
            }
            publication.schemas.extend(schemas.iter().cloned());
            Ok(())
        }
        Step::PublishTables { node, tables } => {
            let database = with_catalog(world, node)?;
            if let Some(absent) = tables.iter().find(|table| !database.has(table)) {
                return no(format!("relation {absent} does not exist"));
            }
            let Some(publication) = database.publications.get_mut(name) else { return no("there is no publication") };
            if publication.all_tables || publication.tables.intersection(tables).next().is_some() {
                return no("relation is already member of publication");
            }
            publication.tables.extend(tables.iter().cloned());
            // A root brings the chunks it has.
            let chunks = database.chunks.iter().filter(|(_, chunk)| tables.contains(&chunk.root));
            publication.tables.extend(chunks.map(|(name, _)| name.clone()));
            Ok(())
        }
        Step::EnableAutoPublication { node } => {
            with_catalog(world, node)?.auto_publication = Some(true);
            Ok(())
        }
        Step::CreateSlot { node, slot } => {
            let slots = &mut writable(world, node)?.slots;
            slots.entry(slot.clone()).or_insert(Slot { is_logical: false, lost: false });
            Ok(())
        }
        Step::DropSlot { node, slot } => {
            answering(world, node)?.slots.remove(slot);
            Ok(())
        }
        Step::PrepareSubscriber { node, reserves_chunk_names } => {
            let database = with_catalog(world, node)?;
            if *reserves_chunk_names {
                database.next_chunk = database.next_chunk.max(RESERVED);
            }
            database.is_read_only = true;
            Ok(())
        }
        Step::GuardTables { node, tables } => {
            let database = with_catalog(world, node)?;
            if let Some(absent) = tables.iter().find(|table| !database.has(table)) {
                return no(format!("relation {absent} does not exist"));
            }
            database.guarded.extend(tables.iter().cloned());
            Ok(())
        }
        Step::UnguardTables { node, tables } => {
            let database = with_catalog(world, node)?;
            database.guarded.retain(|table| !tables.contains(table));
            Ok(())
        }
        Step::SetStandbys { node, setting, value, .. } => {
            let server = answering(world, node)?;
            match setting {
                StandbySetting::SynchronousNames => server.synchronous_names.clone_from(value),
                StandbySetting::SynchronizedSlots => {
                    let is_physical =
                        |name: &str| server.slots.iter().any(|(slot, it)| slot.as_str() == name && !it.is_logical);
                    if !value.split(", ").filter(|name| !name.is_empty()).all(is_physical) {
                        return no("replication slot does not exist");
                    }
                    server.synchronized_slots.clone_from(value);
                }
            }
            Ok(())
        }
        Step::SetApplyFlush { node, flushes } => {
            let Some(subscription) = &mut with_catalog(world, node)?.subscription else { return no("no subscription") };
            subscription.flushes = *flushes;
            Ok(())
        }
        Step::Resubscribe { node, to } => resubscribe(world, node, to, name),
        Step::Redirect { node, to } => redirect(world, node, to),
        Step::AlignPartitioning { node, hypertables } => {
            let database = with_catalog(world, node)?;
            hypertables.iter().try_for_each(|hypertable| align(database, hypertable))
        }
        Step::RetireChunks { node, from, chunks } => {
            let Some(theirs) = answering(world, from)?.database.clone() else { return no("no database") };
            let database = with_catalog(world, node)?;
            let gone = chunks.iter().filter(|chunk| !theirs.has(chunk));
            gone.into_iter().try_for_each(|chunk| {
                drop_table(database, chunk)?;
                database.retired.insert(chunk.clone());
                Ok(())
            })
        }
        Step::KeepPlaces { node, from, chunks, hypertable } => {
            let Some(theirs) = answering(world, from)?.database.clone() else { return no("no database") };
            let database = with_catalog(world, node)?;
            if !database.has(hypertable) {
                return no(format!("relation {hypertable} does not exist"));
            }
            for chunk in chunks.iter().filter(|chunk| !theirs.has(chunk)) {
                database.retired.insert(chunk.clone());
                // The next attempt to apply finds it.
                if let Some(subscription) = &mut database.subscription {
                    subscription.wanting.remove(chunk);
                }
            }
            Ok(())
        }
        Step::ForgetRetired { node, chunks } => {
            with_catalog(world, node)?.retired.retain(|name| !chunks.contains(name));
            Ok(())
        }
        Step::MirrorChunks { node, chunks } => {
            let database = with_catalog(world, node)?;
            chunks.iter().try_for_each(|chunk| make_chunk(database, chunk))
        }
        Step::MakeChunksAhead { node, chunks } => {
            let database = with_catalog(world, node)?;
            for chunk in chunks {
                let is_there = |there: &Chunk| there.root == chunk.hypertable && there.slice().holds(chunk.point[0]);
                if !database.chunks.values().any(is_there) {
                    database.make_chunk_at(&chunk.hypertable, chunk.point[0]).ok_or("no such hypertable")?;
                }
            }
            Ok(())
        }
        Step::Subscribe { node, to } => subscribe(world, node, to, name),
        Step::RefreshSubscription { node } => refresh(world, node, name),
        Step::Unsubscribe { node } => {
            if let Some(subscription) = with_catalog(world, node)?.subscription.take()
                && let Some(publisher) = world.running_mut(&subscription.publisher)
            {
                publisher.slots.remove(&node.slot());
            }
            Ok(())
        }
        Step::EmptyReplica { node, tables } => empty_tables(with_catalog(world, node)?, tables),
        Step::Outside { node, step } => super::outside::simulate(with_catalog(world, node)?, step),
        on_the_host => unreachable!("{on_the_host:?} is no step inside a server"),
    }
}

fn answering<'a>(world: &'a mut World, node: &NodeName) -> Result<&'a mut Server, String> {
    let passwords = world.known_passwords();
    match world.running_mut(node) {
        None => no(format!("{node} does not answer")),
        Some(server) if !passwords.is_some_and(|known| server.accepts(known)) => no("the password is wrong"),
        Some(server) => Ok(server),
    }
}

fn writable<'a>(world: &'a mut World, node: &NodeName) -> Result<&'a mut Server, String> {
    let server = answering(world, node)?;
    if server.standby_of.is_some() || server.has_restarted_marked {
        no(format!("{node} is in recovery"))
    } else {
        Ok(server)
    }
}

fn database<'a>(world: &'a mut World, node: &NodeName) -> Result<&'a mut Database, String> {
    writable(world, node)?.database.as_mut().ok_or_else(|| format!("{node} has no database"))
}

fn with_catalog<'a>(world: &'a mut World, node: &NodeName) -> Result<&'a mut Database, String> {
    let database = database(world, node)?;
    if database.catalog.is_none() { no(format!("{node} lacks hypertide's schema")) } else { Ok(database) }
}

fn apply_migration(world: &mut World, node: &NodeName, id: &MigrationId, _: Seat, run: &Run<'_>) -> Answer {
    let migration = run.packs.iter().flat_map(|pack| &pack.migrations).find(|migration| migration.id == *id);
    let Some(migration) = migration else { return no(format!("the plan names migration {id}")) };
    let edition = world.edition;
    let database = with_catalog(world, node)?;
    if database.migrations.iter().any(|row| row.id.pack == id.pack && row.id.number == id.number) {
        return no(format!("{id} is recorded already"));
    }
    if migration.needs.community && edition != Edition::Community {
        return no("0A000: not available under the current license");
    }
    let published = if run.is_published { scope::schemas(run.desired, Some(run.packs)) } else { BTreeSet::new() };
    let without_identity = |database: &Database| {
        let published = database.tables.iter().filter(|(name, _)| published.contains(&name.schema));
        published.filter(|(_, table)| !table.has_identity).count()
    };
    let before = without_identity(database);
    for line in migration.sql.lines() {
        statement(database, line)?;
    }
    if without_identity(database) > before {
        return no("the migration makes tables without replica identity");
    }
    database.migrations.push(AppliedMigration { id: id.clone(), checksum: migration.checksum.clone() });
    database.migrations.sort_by_key(|row| (row.id.pack.clone(), row.id.number));
    Ok(())
}

/// The language of the tests' migrations: `schema a`, `table a.t`, `hypertable a.t chunks`, `compress a.t`.
pub fn statement(database: &mut Database, line: &str) -> Answer {
    let words: Vec<&str> = line.split_whitespace().collect();
    let plain = Table { has_identity: true, hypertable: None };
    let (name, made) = match words.as_slice() {
        ["schema", schema] => {
            return if database.schemas.insert(ident(schema)) { Ok(()) } else { no("the schema exists already") };
        }
        ["compress", name] => {
            let facts = database.tables.get_mut(&table(name)).and_then(|table| table.hypertable.as_mut());
            let Some(facts) = facts else { return no("no such hypertable") };
            facts.compressed = true;
            return Ok(());
        }
        ["table", name] => (table(name), plain),
        ["hypertable", name, chunk_schema] => {
            let facts =
                Partitioned { chunk_schema: ident(chunk_schema), dimensions: 1, interval: 1, compressed: false };
            (table(name), Table { hypertable: Some(facts), ..plain })
        }
        other => return no(format!("syntax error at {other:?}")),
    };
    let schemas = [Some(&name.schema), made.hypertable.as_ref().map(|facts| &facts.chunk_schema)];
    if schemas.into_iter().flatten().any(|schema| !database.has_schema(schema)) {
        return no("no such schema");
    }
    if database.tables.insert(name, made).is_some() {
        return no("the table exists already");
    }
    Ok(())
}

fn align(database: &mut Database, like: &Hypertable) -> Answer {
    let Some(facts) = database.tables.get_mut(&like.name).and_then(|table| table.hypertable.as_mut()) else {
        return no("no such hypertable");
    };
    match like.dimensions.first().map(|dimension| dimension.partitioning) {
        Some(Partitioning::Range { interval }) => {
            facts.interval = interval;
            Ok(())
        }
        _ => no("the first dimension is no time"),
    }
}

fn make_chunk(database: &mut Database, chunk: &ChunkToMirror) -> Answer {
    if database.has(&chunk.name) {
        return Ok(());
    }
    let facts = database.tables.get(&chunk.hypertable).and_then(|table| table.hypertable.as_ref());
    match facts {
        None => return no("no such hypertable"),
        Some(facts) if usize::from(facts.dimensions) != chunk.slices.len() => return no("of another dimension"),
        Some(_) => {}
    }
    if !database.has_schema(&chunk.name.schema) || database.retired.contains(&chunk.name) {
        return no("no such schema, or the name is taken");
    }
    let start = chunk.slices[0].start;
    if database.chunks.values().any(|there| there.root == chunk.hypertable && there.start == start) {
        return no("another chunk covers that range");
    }
    database.next_chunk += 1;
    let made = Chunk { root: chunk.hypertable.clone(), start, compressed: false };
    database.chunks.insert(chunk.name.clone(), made);
    Ok(())
}

/// What a subscriber would be told to copy, or why it could not.
fn published_to(
    world: &World,
    node: &NodeName,
    publisher: &NodeName,
    name: &Ident,
) -> Result<BTreeSet<TableName>, String> {
    let Some(theirs) = world.running(publisher).and_then(|server| server.database.as_ref()) else {
        return no("the publisher does not answer");
    };
    match theirs.publications.get(name) {
        None => return no("there is no publication"),
        Some(publication) if publication.all_tables => return no("WOULD REPLICATE TIMESCALEDB'S CATALOG"),
        Some(_) => {}
    }
    let members = theirs.members(name);
    let ours = world.database(node);
    match members.iter().find(|table| !ours.is_some_and(|ours| ours.has(table))) {
        Some(absent) => no(format!("relation {absent} does not exist on {node}")),
        None => Ok(members),
    }
}

fn subscribe(world: &mut World, node: &NodeName, to: &NodeName, name: &Ident) -> Answer {
    if with_catalog(world, node)?.subscription.is_some() {
        return Ok(());
    }
    let members = published_to(world, node, to, name)?;
    let epoch = world.database(to).and_then(|theirs| theirs.catalog.as_ref()).map_or(0, |row| row.epoch);
    with_catalog(world, node)?.catalog.as_mut().expect("looked for above").epoch = epoch;
    // One that an interrupted attempt has left is replaced.
    writable(world, to)?.slots.insert(node.slot(), Slot { is_logical: true, lost: false });
    with_catalog(world, node)?.subscription = Some(Subscription {
        publisher: to.clone(),
        publication: name.clone(),
        enabled: true,
        flushes: false,
        is_applying: false,
        wanting: BTreeSet::new(),
        tables: members.into_iter().map(|table| (table, ('i', 0))).collect(),
    });
    Ok(())
}

/// The rows that it has seen of its publisher's are those of the standby that took the place.
fn redirect(world: &mut World, node: &NodeName, to: &NodeName) -> Answer {
    let Some(source) = answering(world, to)?.database.clone() else { return no("no database") };
    let epoch = source.catalog.as_ref().map_or(0, |row| row.epoch);
    let Some(subscription) = with_catalog(world, node)?.subscription.as_mut() else {
        return no("there is no subscription");
    };
    if subscription.tables.iter().any(|(table, (_, seen))| *seen > source.rows(table)) {
        return no("WOULD SKIP CHANGES: IT IS AHEAD OF THE NEW PRIMARY");
    }
    subscription.publisher = to.clone();
    with_catalog(world, node)?.catalog.as_mut().expect("looked for above").epoch = epoch;
    Ok(())
}

/// What the node published itself it has; what else is published is copied by workers.
fn resubscribe(world: &mut World, node: &NodeName, to: &NodeName, name: &Ident) -> Answer {
    let members = published_to(world, node, to, name)?;
    let slot = answering(world, to)?.slots.get(&node.slot()).copied();
    if slot != Some(Slot { is_logical: true, lost: false }) {
        return no("CAN NOT GO ON FROM A SLOT THAT IS NOT THERE");
    }
    let database = with_catalog(world, node)?;
    let had = database.members(name);
    let state = |table: &TableName| if had.contains(table) { ('r', database.rows(table)) } else { ('i', 0) };
    let tables = members.into_iter().map(|table| (table.clone(), state(&table))).collect();
    database.publications.remove(name);
    database.catalog.as_mut().expect("looked for above").resumes = false;
    database.subscription = Some(Subscription {
        publisher: to.clone(),
        publication: name.clone(),
        enabled: true,
        flushes: false,
        is_applying: false,
        wanting: BTreeSet::new(),
        tables,
    });
    Ok(())
}

fn refresh(world: &mut World, node: &NodeName, name: &Ident) -> Answer {
    let Some(subscription) = &with_catalog(world, node)?.subscription else { return no("there is no subscription") };
    if !subscription.enabled {
        return no("REFRESH is not allowed for disabled subscriptions");
    }
    let publisher = subscription.publisher.clone();
    let members = published_to(world, node, &publisher, name)?;
    let subscription = with_catalog(world, node)?.subscription.as_mut().expect("looked for above");
    subscription.publication = name.clone();
    subscription.tables.retain(|table, _| members.contains(table));
    for table in members {
        subscription.tables.entry(table).or_insert(('i', 0));
    }
    Ok(())
}

/// A table that is being copied may not be dropped.
fn drop_table(database: &mut Database, name: &TableName) -> Answer {
    if let Some(subscription) = &mut database.subscription {
        match subscription.tables.get(name) {
            Some((state, _)) if *state != 'r' => return no("table synchronization is in progress"),
            _ => subscription.tables.remove(name),
        };
    }
    database.chunks.remove(name);
    database.rows.remove(name);
    Ok(())
}

/// `truncate`: a hypertable loses its chunks.
fn empty_tables(database: &mut Database, tables: &BTreeSet<TableName>) -> Answer {
    if let Some(absent) = tables.iter().find(|table| !database.has(table)) {
        return no(format!("relation {absent} does not exist"));
    }
    let chunks = database.chunks.iter().filter(|(_, chunk)| tables.contains(&chunk.root));
    let chunks: Vec<TableName> = chunks.map(|(name, _)| name.clone()).collect();
    for chunk in &chunks {
        drop_table(database, chunk)?;
    }
    for table in tables {
        database.rows.remove(table);
    }
    Ok(())
}
