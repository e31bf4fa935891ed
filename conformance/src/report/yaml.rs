//! The report as YAML for snapshots: one document for each link and family of rules, one line a
//! rule, and nothing in it that changes between two runs of the same code.

use std::fmt::Write;

use super::{Report, family};

/// The rules of this family on this link, sorted by name: verdict and what was observed. No times,
/// no processes, no paths and no raw texts. `None` if there is no such cell.
pub fn yaml(report: &Report, link: &str, of_family: &str) -> Option<String> {
    let here = report.cells.iter().filter(|c| c.link == link && family(&c.rule) == of_family);
    let mut cells: Vec<_> = here.collect();
    cells.sort_by(|a, b| a.rule.cmp(&b.rule));
    if cells.is_empty() {
        return None;
    }
    let mut text = String::new();
    for cell in cells {
        let mut observed = cell.observed.clone();
        observed.sort();
        observed.dedup();
        // JSON strings are YAML strings, too.
        let observed: Vec<String> =
            observed.iter().map(|o| serde_json::Value::from(o.as_str()).to_string()).collect();
        let observed = observed.join(", ");
        let word = cell.verdict.word();
        let _ = writeln!(text, "{}: {{verdict: {word}, observed: [{observed}]}}", cell.rule);
    }
    Some(text)
}
