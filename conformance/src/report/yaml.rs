//! The report as YAML for snapshots: one document for each link and family of rules, one line a
//! rule, and nothing in it that changes between two runs of the same code.

use std::fmt::Write;

use super::{Report, family};

/// The rules of this family on this link, sorted by name: verdict and what was observed. No times,
/// no processes, no paths and no raw texts. `None` if there is no such cell, or only such as are of
/// another model.
pub fn yaml(report: &Report, link: &str, of_family: &str) -> Option<String> {
    let here = report.cells.iter().filter(|c| c.link == link && family(&c.rule) == of_family);
    // What has nothing to do with the link is no verdict on it.
    let here = here.filter(|c| c.why != crate::objects::ANOTHER_MODEL);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_rule_sorted_and_nothing_that_changes_from_run_to_run() {
        let cell = |rule: &str, why: &str, observed: &[&str]| {
            serde_json::json!({
                "link": "a/b", "rule": rule, "verdict": "observed", "why": why,
                "evidence": why.len(), "observed": observed,
            })
        };
        let mut report = Report {
            format: Report::FORMAT.into(),
            suite: "1".into(),
            seed: 1,
            level: "quick".into(),
            environment: Default::default(),
            shards: Vec::new(),
            links: Vec::new(),
            rules: Vec::new(),
            cells: Vec::new(),
        };
        for (rule, why) in [("send.z", "P17 at 0.3 µs"), ("send.a", "x"), ("receive.a", "y")] {
            let cell = cell(rule, why, &["send: \"full\"", "send: closed", "send: \"full\""]);
            report.cells.push(serde_json::from_value(cell).unwrap());
        }
        let observed = r#"observed: ["send: \"full\"", "send: closed"]"#;
        let line = |rule| format!("{rule}: {{verdict: observed, {observed}}}\n");
        let expected = line("send.a") + &line("send.z");
        assert_eq!(yaml(&report, "a/b", "send"), Some(expected));
        assert_eq!(yaml(&report, "a/b", "close"), None);
        assert_eq!(yaml(&report, "nobody", "send"), None);
    }
}
