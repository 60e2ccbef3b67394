//! What collectors bring: groups of metrics that come as columns of the same rows.
//!
//! A column `numbackends` of the group `pg_stat_database` is the metric `pg_stat_database_numbackends`. Names and labels of `pg_*`
//! are postgres_exporter's (<https://github.com/prometheus-community/postgres_exporter>), so that dashboards made for it work; `node`
//! is added to each.

pub mod server;
pub mod statements;
pub mod tables;
pub mod timescaledb;

use super::names::Metric;

/// Metrics of the same rows.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The key under which the SQL answers with the rows, and how the metrics' names begin.
    pub key: &'static str,
    /// Its metrics by their columns.
    pub columns: &'static [(&'static str, Metric)],
    /// Its counters are sums over the chunks there are, of which some go away.
    pub is_summed: bool,
}

macro_rules! groups {
    ($($(#[$about:meta])* $ident:ident $key:literal $labels:tt $(summed $summed:literal)? {
        $($kind:ident $column:literal $help:literal;)+
    })+) => {
        $(
            $(#[$about])*
            pub const $ident: $crate::metrics::groups::Group = $crate::metrics::groups::Group {
                key: $key,
                columns: &[$(($column, $crate::metrics::names::Metric {
                    name: concat!($key, "_", $column),
                    help: $help,
                    kind: $crate::metrics::names::Kind::$kind,
                    labels: &$labels,
                })),+],
                is_summed: false $(|| $summed)?,
            };
        )+
    };
}
use groups;
