//! Samples, and how they become families in Prometheus' text format.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prometheus::proto::{self, MetricFamily, MetricType};

use super::names::{Kind, Metric};

/// One value of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: Cow<'static, str>,
    /// What it means.
    pub help: Cow<'static, str>,
    /// What its numbers do.
    pub kind: Kind,
    /// Label names and values, sorted by name.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// Of a metric whose labels have these values, in the metric's order.
    pub fn new(metric: Metric, values: impl IntoIterator<Item = String>, value: f64) -> Self {
        let mut labels: Vec<_> = metric.labels.iter().copied().zip(values).collect();
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        labels.sort_unstable();
        Self { name: metric.name.into(), help: metric.help.into(), kind: metric.kind, labels, value }
    }
}

/// Samples by metric.
#[derive(Debug, Default)]
pub struct Families(BTreeMap<Cow<'static, str>, Family>);

#[derive(Debug)]
struct Family {
    help: Cow<'static, str>,
    kind: Kind,
    /// A scrape in which the same labels come twice is refused as a whole; here the last one counts.
    samples: BTreeMap<Vec<(&'static str, String)>, f64>,
}

impl Families {
    /// Adds a sample.
    pub fn push(&mut self, sample: Sample) {
        let Sample { name, help, kind, labels, value } = sample;
        let family = self.0.entry(name).or_insert_with(|| Family { help, kind, samples: BTreeMap::new() });
        family.samples.insert(labels, value);
    }

    /// Adds a sample of a metric whose labels have these values.
    pub fn add<const LABELS: usize>(&mut self, metric: Metric, labels: [&str; LABELS], value: f64) {
        self.push(Sample::new(metric, labels.map(str::to_owned), value));
    }

    /// All of them, sorted by name and labels, so that two scrapes can be compared.
    pub fn into_proto(self) -> Vec<MetricFamily> {
        let family = |(name, family): (Cow<'static, str>, Family)| {
            let mut made = MetricFamily::default();
            made.set_name(name.into_owned());
            made.set_help(family.help.into_owned());
            made.set_field_type(if family.kind == Kind::Counter { MetricType::COUNTER } else { MetricType::GAUGE });
            made.set_metric(
                family.samples.into_iter().map(|(labels, value)| metric(family.kind, labels, value)).collect(),
            );
            made
        };
        self.0.into_iter().map(family).collect()
    }
}

fn metric(kind: Kind, labels: Vec<(&'static str, String)>, value: f64) -> proto::Metric {
    let pair = |(name, value): (&str, String)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    };
    let mut metric = proto::Metric::from_label(labels.into_iter().map(pair).collect());
    if kind == Kind::Counter {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}
