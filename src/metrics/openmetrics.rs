//! The same families in OpenMetrics' text format, for those who ask for it
//! (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>). Pure.
//!
//! There a counter's name ends with `_total`. The counters of postgres_exporter that do not are told as `unknown`: their names are what
//! dashboards know. So are those that have a twin without it, whose family would have the same name.

use std::collections::BTreeSet;
use std::fmt::Write;

use prometheus::proto::{Histogram, LabelPair, MetricFamily, MetricType};

/// The media type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What ends a counter's samples, and no family's name.
const TOTAL: &str = "_total";

/// Units that names end with.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// Whether a request's `Accept` prefers this format to Prometheus' own
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1>).
pub fn is_preferred(accept: &str) -> bool {
    let (mut open, mut plain) = (0.0_f32, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut is_known) = (1.0_f32, true);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => is_known = value.trim().trim_matches('"') == "1.0.0",
                _ => {}
            }
        }
        match media_type.as_str() {
            "application/openmetrics-text" if is_known => open = quality.max(open),
            "text/plain" => plain = quality.max(plain),
            _ => {}
        }
    }
    open > 0.0 && open >= plain
}

/// The families as text.
pub fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    let names: BTreeSet<&str> = families.iter().map(MetricFamily::name).collect();
    for family in families {
        self::family(&mut text, family, &names);
    }
    text.push_str("# EOF\n");
    text
}

fn family(text: &mut String, family: &MetricFamily, names: &BTreeSet<&str>) {
    let sample = family.name();
    let (name, kind) = match family.get_field_type() {
        MetricType::COUNTER => match sample.strip_suffix(TOTAL).filter(|name| !names.contains(name)) {
            Some(name) => (name, "counter"),
            None => (sample, "unknown"),
        },
        MetricType::GAUGE => (sample, "gauge"),
        MetricType::HISTOGRAM => (sample, "histogram"),
        MetricType::SUMMARY | MetricType::UNTYPED => (sample, "unknown"),
    };
    line(text, format_args!("# TYPE {name} {kind}"));
    let unit = UNITS.into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')));
    if let Some(unit) = unit {
        line(text, format_args!("# UNIT {name} {unit}"));
    }
    line(text, format_args!("# HELP {name} {}", escaped(family.help())));
    for metric in family.get_metric() {
        let labels = labels(metric.get_label());
        match family.get_field_type() {
            MetricType::COUNTER => value(text, sample, &labels, metric.get_counter().get_value()),
            MetricType::GAUGE => value(text, sample, &labels, metric.get_gauge().get_value()),
            MetricType::HISTOGRAM => histogram(text, sample, &labels, metric.get_histogram()),
            MetricType::SUMMARY | MetricType::UNTYPED => {}
        }
    }
}

fn histogram(text: &mut String, name: &str, labels: &[String], histogram: &Histogram) {
    let bucket = format!("{name}_bucket");
    let count = histogram.get_sample_count();
    let bounds = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    for (bound, below) in bounds.filter(|(bound, _)| bound.is_finite()).chain([(f64::INFINITY, count)]) {
        let labels: Vec<String> = labels.iter().cloned().chain([format!("le=\"{}\"", number(bound))]).collect();
        line(text, format_args!("{bucket}{} {below}", braces(&labels)));
    }
    value(text, &format!("{name}_sum"), labels, histogram.get_sample_sum());
    line(text, format_args!("{name}_count{} {count}", braces(labels)));
}

fn value(text: &mut String, name: &str, labels: &[String], value: f64) {
    line(text, format_args!("{name}{} {}", braces(labels), number(value)));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to memory cannot fail");
}

fn labels(labels: &[LabelPair]) -> Vec<String> {
    labels.iter().map(|label| format!("{}=\"{}\"", label.name(), escaped(label.value()))).collect()
}

fn braces(labels: &[String]) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

/// Numbers as the specification writes them: a point or an exponent in each, and words for what is no number.
fn number(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{number:?}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts, Registry};

    use super::*;
    use crate::metrics::families::{Families, Sample};
    use crate::metrics::names::Kind;

    #[test]
    fn it_is_told_to_those_who_like_it_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, is_open) in [
            (prometheus, true),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", true),
            ("application/openmetrics-text; version=\"1.0.0\"", true),
            ("application/openmetrics-text;version=0.0.1", false),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.5", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=nonsense", false),
            ("text/plain;version=0.0.4", false),
            ("text/html,*/*", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(is_preferred(accept), is_open, "{accept}");
        }
    }

    #[test]
    fn every_kind_of_family_is_spelled_as_the_specification_has_it() {
        let mut families = Families::default();
        let mut add = |name: &'static str, kind, labels: Vec<(&'static str, String)>, value| {
            families.push(Sample { name: name.into(), help: "Says \"why\".\nTwice.".into(), kind, labels, value });
        };
        add("a_bytes", Kind::Gauge, vec![("what", "a\\b \"c\"\nd".to_owned())], 1.5e18);
        add("b_seconds_total", Kind::Counter, vec![], 2.0);
        add("c_without_its_ending", Kind::Counter, vec![], f64::NAN);
        add("c_without_its_ending_total", Kind::Counter, vec![], 3.0);
        let histogram =
            Histogram::with_opts(HistogramOpts::new("d_seconds", "Takes.").buckets(vec![0.5, 2.0])).expect("valid");
        histogram.observe(1.0);
        let registry = Registry::new();
        registry.register(Box::new(histogram)).expect("new");
        let all: Vec<_> = families.into_proto().into_iter().chain(registry.gather()).collect();
        let expected = r#"# TYPE a_bytes gauge
# UNIT a_bytes bytes
# HELP a_bytes Says \"why\".\nTwice.
a_bytes{what="a\\b \"c\"\nd"} 1.5e18
# TYPE b_seconds counter
# UNIT b_seconds seconds
# HELP b_seconds Says \"why\".\nTwice.
b_seconds_total 2.0
# TYPE c_without_its_ending unknown
# HELP c_without_its_ending Says \"why\".\nTwice.
c_without_its_ending NaN
# TYPE c_without_its_ending_total unknown
# HELP c_without_its_ending_total Says \"why\".\nTwice.
c_without_its_ending_total 3.0
# TYPE d_seconds histogram
# UNIT d_seconds seconds
# HELP d_seconds Takes.
d_seconds_bucket{le="0.5"} 0
d_seconds_bucket{le="2.0"} 1
d_seconds_bucket{le="+Inf"} 1
d_seconds_sum 1.0
d_seconds_count 1
# EOF
"#;
        assert_eq!(encode(&all), expected);
    }
}
