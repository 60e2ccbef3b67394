//! Publications for consumers outside the cluster, and subscriptions to servers outside of it.

use std::collections::BTreeSet;

use postgres_protocol::escape::escape_literal;

use crate::model::names::{Ident, TableName};
use crate::model::outside::{DeclaredSubscription, Operation, Reclaim};
use crate::plan::outside::mark::Mark;
use crate::plan::outside::step::{Member, PublicationChange, SubscriptionChange};
use crate::postgres::session::{PostgresError, Session};

/// Makes a publication or changes it, and marks it, all in one transaction.
pub async fn set_publication(session: &mut Session, change: &PublicationChange) -> Result<(), PostgresError> {
    let doing = format!("set publication {}", change.name);
    let node = session.node.to_string();
    let failed = |answer| PostgresError::Statement { doing: doing.clone(), node: node.clone(), answer };
    let name = change.name.quoted();
    let operations: Vec<&str> = change.operations.iter().copied().map(Operation::word).collect();
    let options = format!("(publish = '{}', publish_via_partition_root = true)", operations.join(", "));
    let mut statements = vec![if change.is_new {
        format!("create publication {name} with {options}")
    } else {
        format!("alter publication {name} set {options}")
    }];
    if !change.drop.is_empty() {
        let tables: Vec<String> = change.drop.iter().map(|table| format!("only {}", table.quoted())).collect();
        statements.push(format!("alter publication {name} drop table {}", tables.join(", ")));
    }
    if !change.drop_schemas.is_empty() {
        statements.push(format!("alter publication {name} drop tables in schema {}", quoted(&change.drop_schemas)));
    }
    if !change.add_schemas.is_empty() {
        statements.push(format!("alter publication {name} add tables in schema {}", quoted(&change.add_schemas)));
    }
    if !change.add.is_empty() {
        statements.push(format!("alter publication {name} add {}", members(&change.add)));
    }
    let transaction = session.client_mut().transaction().await.map_err(failed)?;
    for statement in &statements {
        // Prepared, so that a filter cannot bring a statement of its own.
        transaction.execute(statement, &[]).await.map_err(failed)?;
    }
    let mut mark = change.mark.clone();
    for member in change.add.iter().filter(|member| !member.is_chunk) {
        let Some(filter) = &member.filter else { continue };
        let shown = shown_filter(&transaction, &change.name, &member.table).await.map_err(failed)?;
        mark.remember(&member.table, filter, &shown);
    }
    transaction.batch_execute(&comment("publication", &change.name, &mark)).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// A row filter in PostgreSQL's own words.
async fn shown_filter(
    transaction: &tokio_postgres::Transaction<'_>,
    publication: &Ident,
    table: &TableName,
) -> Result<String, tokio_postgres::Error> {
    let row = transaction
        .query_one(
            "select coalesce(pg_get_expr(prqual, prrelid), '') from pg_publication_rel
             where prpubid = (select oid from pg_publication where pubname = $1) and prrelid = $2::text::regclass",
            &[&publication.as_str(), &table.quoted()],
        )
        .await?;
    Ok(row.get(0))
}

/// Adds chunks to a publication.
pub async fn publish_outside_chunks(session: &Session, name: &Ident, chunks: &[Member]) -> Result<(), PostgresError> {
    let sql = format!("alter publication {} add {}", name.quoted(), members(chunks));
    let added = session.client().execute(&sql, &[]).await;
    added.map(|_| ()).map_err(|answer| session.failed(&format!("add chunks to publication {name}"), answer))
}

/// Drops a publication.
pub async fn drop_publication(session: &Session, name: &Ident) -> Result<(), PostgresError> {
    let sql = format!("drop publication if exists {}", name.quoted());
    session.run(&format!("drop publication {name}"), &sql).await
}

/// Creates a subscription and its slot on the other server, and marks it.
pub async fn create_subscription(
    session: &Session,
    declared: &DeclaredSubscription,
    connection: &str,
) -> Result<(), PostgresError> {
    let name = &declared.name;
    let exists = session
        .client()
        .query_opt(
            "select from pg_subscription
             where subname = $1 and subdbid = (select oid from pg_database where datname = current_database())",
            &[&name.as_str()],
        )
        .await
        .map_err(|answer| session.failed(&format!("look for subscription {name}"), answer))?;
    if exists.is_none() {
        // No `failover`: whether the other server's standbys keep the slot is for its own people to say, and servers
        // before 17 refuse the word.
        let sql = format!(
            "create subscription {} connection {} publication {} with (copy_data = {})",
            name.quoted(),
            escape_literal(connection),
            quoted(&declared.publications),
            declared.copy_data
        );
        session.run(&format!("create subscription {name}"), &sql).await?;
    }
    mark_subscription(session, name, declared.reclaim).await
}

/// Its apply worker runs.
pub async fn is_applying(session: &Session, name: &Ident) -> Result<bool, PostgresError> {
    let row = session
        .client()
        .query_one(
            "select exists (select from pg_stat_subscription
                            where subname = $1 and worker_type = 'apply' and pid is not null)",
            &[&name.as_str()],
        )
        .await
        .map_err(|answer| session.failed(&format!("look at subscription {name}"), answer))?;
    Ok(row.get(0))
}

/// Brings a subscription to what is declared, and marks it.
pub async fn change_subscription(
    session: &Session,
    change: &SubscriptionChange,
    connection: &str,
) -> Result<(), PostgresError> {
    let DeclaredSubscription { name, publications, copy_data, reclaim, .. } = &change.declared;
    let doing = format!("change subscription {name}");
    let quoted_name = name.quoted();
    if change.connection {
        let connection = escape_literal(connection);
        session.run(&doing, &format!("alter subscription {quoted_name} connection {connection}")).await?;
    }
    if change.publications {
        let sql = format!(
            "alter subscription {quoted_name} set publication {} with (refresh = true, copy_data = {copy_data})",
            quoted(publications)
        );
        session.run(&doing, &sql).await?;
    }
    mark_subscription(session, name, *reclaim).await
}

async fn mark_subscription(session: &Session, name: &Ident, reclaim: Reclaim) -> Result<(), PostgresError> {
    let sql = comment("subscription", name, &Mark::new(reclaim));
    session.run(&format!("mark subscription {name}"), &sql).await
}

/// Drops a subscription with its slot on the other server. One whose server does not answer stays as it is: a slot that
/// nobody drops keeps log over there until the disk is full.
pub async fn drop_subscription(session: &Session, name: &Ident) -> Result<(), PostgresError> {
    let sql = format!("drop subscription if exists {}", name.quoted());
    session.run(&format!("drop subscription {name}"), &sql).await
}

fn comment(kind: &str, name: &Ident, mark: &Mark) -> String {
    format!("comment on {kind} {} is {}", name.quoted(), escape_literal(&mark.to_string()))
}

fn members(members: &[Member]) -> String {
    members.iter().map(member).collect::<Vec<_>>().join(", ")
}

/// Without its descendants, which PostgreSQL would add along: chunks are named one by one.
fn member(member: &Member) -> String {
    let mut text = format!("table only {}", member.table.quoted());
    if let Some(columns) = &member.columns {
        text = format!("{text} ({})", quoted(columns));
    }
    if let Some(filter) = &member.filter {
        // On a line of its own, so that a comment at its end takes nothing else along.
        text = format!("{text} where ({filter}\n)");
    }
    text
}

fn quoted(names: &BTreeSet<Ident>) -> String {
    names.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ")
}
