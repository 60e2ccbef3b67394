//! What a data job found: rows of its last statement that say what, of which object, and how much.

use serde::{Deserialize, Serialize};

/// The columns of such rows, in any order.
pub const COLUMNS: [&str; 3] = ["finding", "object", "value"];

/// How many of a job are kept: each is a series of a metric, and rows are for more.
pub const MOST: usize = 50;

/// Characters of a text that are kept: it becomes a label.
pub const LONGEST: usize = 80;

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was found.
    pub finding: String,
    /// Of what.
    pub object: String,
    /// How much; `None` where there is no such number.
    pub value: Option<f64>,
}

/// Numbers here are finite, so that each equals itself.
impl Eq for Finding {}

/// What the last run of a job that succeeded found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// The first [`MOST`], each object once for each finding.
    pub list: Vec<Finding>,
    /// How many more there were.
    pub left_out: u64,
}

impl Findings {
    /// Takes in a row. Of several for the same object the last one counts; one that does not say what was found is none.
    pub fn add(&mut self, finding: Option<&str>, object: Option<&str>, value: Option<&str>) {
        let Some(finding) = finding.map(shortened) else { return };
        let object = object.map(shortened).unwrap_or_default();
        // JSON has no other numbers.
        let value = value.and_then(|text| text.parse().ok()).filter(|value: &f64| value.is_finite());
        if let Some(known) = self.list.iter_mut().find(|known| known.finding == finding && known.object == object) {
            known.value = value;
        } else if self.list.len() < MOST {
            self.list.push(Finding { finding, object, value });
        } else {
            self.left_out += 1;
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_row_of_an_object_counts_and_what_is_no_number_has_no_value() {
        let mut findings = Findings::default();
        findings.add(Some("gaps"), Some("a"), Some("1"));
        findings.add(Some("gaps"), Some("a"), Some("2.5"));
        findings.add(Some("gaps"), None, Some("NaN"));
        findings.add(None, Some("b"), Some("1"));
        let one = |object: &str, value| Finding { finding: "gaps".into(), object: object.into(), value };
        assert_eq!(findings, Findings { list: vec![one("a", Some(2.5)), one("", None)], left_out: 0 });
    }

    proptest! {
        #[test]
        fn whatever_a_job_says_labels_stay_few_and_short(rows in proptest::collection::vec((".{0,200}", ".{0,200}"), 0..200)) {
            let mut findings = Findings::default();
            for (finding, object) in &rows {
                findings.add(Some(finding), Some(object), Some("1"));
            }
            prop_assert!(findings.list.len() <= MOST);
            prop_assert!(findings.list.len() as u64 + findings.left_out <= rows.len() as u64);
            for Finding { finding, object, .. } in &findings.list {
                prop_assert!(finding.chars().count() <= LONGEST && object.chars().count() <= LONGEST);
                prop_assert!(!finding.contains('\n') && !object.contains('\0'));
            }
        }
    }
}
