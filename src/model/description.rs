//! What there is to say of a database's schema, in the order in which it is told.

use serde::Deserialize;

/// All schemas that users made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Description {
    /// By name.
    pub schemas: Vec<SchemaDescription>,
}

/// One schema.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SchemaDescription {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub comment: Option<String>,
    /// `role: privileges`, the owner's left out.
    pub grants: Vec<String>,
    /// Tables and views by name.
    pub relations: Vec<RelationDescription>,
    /// Functions and procedures by name.
    pub functions: Vec<FunctionDescription>,
}

/// A table or a view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RelationDescription {
    /// Its name.
    pub name: String,
    /// `table`, `hypertable`, `view`, `materialized view`, `continuous aggregate` or `foreign table`.
    pub kind: String,
    /// What it is.
    pub comment: Option<String>,
    /// What a view selects.
    pub definition: Option<String>,
    /// In their order.
    pub columns: Vec<ColumnDescription>,
    /// Dimensions, compression and jobs of a hypertable or an aggregate.
    pub chunks: Vec<String>,
    /// Definitions, those of constraints left out.
    pub indexes: Vec<String>,
    /// `name: definition`.
    pub constraints: Vec<String>,
    /// `role: privileges`, the owner's left out.
    pub grants: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// It always has a value.
    pub not_null: bool,
    /// Its value when none is given.
    pub default: Option<String>,
    /// What it is.
    pub comment: Option<String>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FunctionDescription {
    /// Name and arguments.
    pub signature: String,
    /// What it gives; none for a procedure.
    pub returns: Option<String>,
    /// What it does.
    pub comment: Option<String>,
}
