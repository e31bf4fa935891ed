//! Reads reports, and refuses what is none.

use std::collections::HashSet;

use super::Report;

/// Why a text is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is not JSON, or not of the report's shape.
    #[error("not a report: {0}")]
    Shape(String),
    /// It is of another version, or of another format altogether.
    #[error("its format is {got:?}, expected {:?}", Report::FORMAT)]
    Format {
        /// What the file says.
        got: String,
    },
    /// It lists this link or rule twice.
    #[error("it lists the {kind} {name} twice")]
    Twice {
        /// Link or rule.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A cell names a link or a rule that the report does not list.
    #[error("a cell is about {link} × {rule}, but the report lists no such {kind}")]
    Unlisted {
        /// The cell's link.
        link: String,
        /// The cell's rule.
        rule: String,
        /// Which of the two it does not list.
        kind: &'static str,
    },
    /// Two cells are about the same link and rule.
    #[error("two cells are about {link} × {rule}")]
    Doubled {
        /// The link.
        link: String,
        /// The rule.
        rule: String,
    },
    /// Cells are absent.
    #[error("{count} cells have no verdict, the first is {link} × {rule}; is a shard missing?")]
    Missing {
        /// How many.
        count: usize,
        /// The first one's link.
        link: String,
        /// The first one's rule.
        rule: String,
    },
}

impl Report {
    /// Reads a report that may be a shard: cells may be absent, but nothing in it may contradict
    /// itself.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| ReportError::Shape(e.to_string()))?;
        // A report of another version is told so, rather than which of its fields is strange.
        if let Some(got) = value.get("format").filter(|f| *f != Self::FORMAT) {
            let got = got.as_str().map_or_else(|| got.to_string(), String::from);
            return Err(ReportError::Format { got });
        }
        // Read again from the text, so that an error has its line and column.
        let report: Self =
            serde_json::from_str(text).map_err(|e| ReportError::Shape(e.to_string()))?;
        report.consistent()?;
        Ok(report)
    }

    fn consistent(&self) -> Result<(), ReportError> {
        let mut links = HashSet::new();
        for link in &self.links {
            if !links.insert(link.name.as_str()) {
                return Err(ReportError::Twice { kind: "link", name: link.name.clone() });
            }
        }
        let mut rules = HashSet::new();
        for rule in &self.rules {
            if !rules.insert(rule.id.as_str()) {
                return Err(ReportError::Twice { kind: "rule", name: rule.id.clone() });
            }
        }
        let mut cells = HashSet::new();
        for cell in &self.cells {
            let (link, rule) = (cell.link.clone(), cell.rule.clone());
            if !links.contains(link.as_str()) {
                return Err(ReportError::Unlisted { link, rule, kind: "link" });
            }
            if !rules.contains(rule.as_str()) {
                return Err(ReportError::Unlisted { link, rule, kind: "rule" });
            }
            if !cells.insert((&cell.link, &cell.rule)) {
                return Err(ReportError::Doubled { link, rule });
            }
        }
        Ok(())
    }

    /// Refuses a report with absent cells: an absent verdict is not a good one.
    ///
    /// # Errors
    /// How many are absent, and the first.
    pub fn complete(&self) -> Result<(), ReportError> {
        let cells: HashSet<(&str, &str)> =
            self.cells.iter().map(|c| (c.link.as_str(), c.rule.as_str())).collect();
        let all = self
            .links
            .iter()
            .flat_map(|l| self.rules.iter().map(move |r| (l.name.as_str(), r.id.as_str())));
        let mut missing = all.filter(|pair| !cells.contains(pair));
        let Some((link, rule)) = missing.next() else { return Ok(()) };
        let (link, rule) = (link.into(), rule.into());
        Err(ReportError::Missing { count: 1 + missing.count(), link, rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: &str = r#"{"format":"ipc-report/1","suite":"1","seed":1,"level":"quick",
        "environment":{},"links":[],"rules":[],"cells":[]}"#;

    #[test]
    fn what_is_no_report_is_refused_with_the_reason() {
        assert!(Report::parse(SHELL).is_ok());
        let newer = SHELL.replace("report/1", "report/9");
        let error = Report::parse(&newer).unwrap_err().to_string();
        assert_eq!(error, "its format is \"ipc-report/9\", expected \"ipc-report/1\"");
        let cell = r#"[{"link":"a/b","rule":"r","verdict":"pass","why":"","evidence":1}]"#;
        let stray = SHELL.replace("\"cells\":[]", &format!("\"cells\":{cell}"));
        let error = Report::parse(&stray).unwrap_err().to_string();
        assert!(error.contains("no such link"), "{error}");
        let word = stray.replace("\"pass\"", "\"fine\"");
        let error = Report::parse(&word).unwrap_err().to_string();
        assert!(error.contains("fine") && error.contains("line 2"), "{error}");
        assert!(matches!(Report::parse("[1"), Err(ReportError::Shape(_))));
    }
}
