//! What data jobs found, on the page: gaps above all.

use chrono::{DateTime, Utc};

use super::At;
use crate::metrics::JobFindings;

/// A finding.
#[derive(Clone, Debug)]
pub struct FindingRow {
    /// What was found, in words.
    pub finding: String,
    /// Of what.
    pub object: String,
    /// How much.
    pub value: String,
    /// Which job found it.
    pub job: String,
    /// When it last looked.
    pub at: At,
}

/// The jobs by name, and what each found as it is kept.
pub(super) fn rows(jobs: &JobFindings, clock: DateTime<Utc>) -> Vec<FindingRow> {
    let of_job = |(job, seen): (&String, &crate::model::backup_runs::FindingsSeen)| {
        let (job, at) = (job.clone(), At::new(seen.found, clock));
        let row = |found: &crate::model::finding::Finding| FindingRow {
            finding: found.finding.replace('_', " "),
            object: found.object.clone(),
            value: found.value.map_or_else(|| "-".to_owned(), readable),
            job: job.clone(),
            at: at.clone(),
        };
        seen.findings.list.iter().map(row).collect::<Vec<_>>()
    };
    jobs.iter().flat_map(of_job).collect()
}

/// Two places at most, and none for a whole number.
fn readable(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup_runs::FindingsSeen;
    use crate::model::finding::Findings;

    #[test]
    fn gaps_are_told_with_their_job_and_when_it_looked() {
        let mut findings = Findings::default();
        findings.add(Some("open_gaps"), Some("USDCOP 5min low"), Some("1"));
        findings.add(Some("score"), Some("a"), Some("98.765"));
        let (found, clock) = ("2026-11-22T09:15:00Z", "2026-11-22T09:30:00Z");
        let seen = FindingsSeen { found: found.parse().expect("a time"), findings };
        let rows = rows(&[("l0_pipeline.record-gaps".to_owned(), seen)].into(), clock.parse().expect("a time"));
        let told: Vec<_> =
            rows.iter().map(|row| (row.finding.as_str(), row.value.as_str(), row.at.ago.as_str())).collect();
        assert_eq!(told, [("open gaps", "1", "15 minutes ago"), ("score", "98.77", "15 minutes ago")]);
        assert_eq!((rows[0].object.as_str(), rows[0].job.as_str()), ("USDCOP 5min low", "l0_pipeline.record-gaps"));
        assert_eq!([100.0, 0.0, -0.5].map(readable), ["100", "0", "-0.5"]);
    }
}
