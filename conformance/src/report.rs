//! The report: one cell for every link and rule, as data. Formats only read it.

pub mod html;
pub mod text;

use std::collections::BTreeMap;

use ipc_model::{Kind, Profile, Rule, RuleId};
use serde::{Deserialize, Serialize};

/// What came of one rule on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellVerdict {
    /// Some run needed the rule, and no run broke it.
    Pass,
    /// The rule is a `should`, and was missed.
    Deviates,
    /// A run broke the rule.
    Fail,
    /// The rule leaves it open; what was seen is recorded.
    Observed,
    /// The link does not claim the rule.
    NotClaimed,
    /// No run could tell.
    Inconclusive,
    /// A call that the rule lets return did not, and nothing moved any more.
    Hang,
    /// The code under test was ended by a signal.
    Crash,
    /// The adapter or the environment failed.
    Broken,
}

impl CellVerdict {
    /// The word that files use.
    pub fn word(self) -> &'static str {
        match self {
            CellVerdict::Pass => "pass",
            CellVerdict::Deviates => "deviates",
            CellVerdict::Fail => "fail",
            CellVerdict::Observed => "observed",
            CellVerdict::NotClaimed => "not-claimed",
            CellVerdict::Inconclusive => "inconclusive",
            CellVerdict::Hang => "hang",
            CellVerdict::Crash => "crash",
            CellVerdict::Broken => "broken",
        }
    }

    /// The sign that the matrix shows.
    pub fn sign(self) -> &'static str {
        match self {
            CellVerdict::Pass => "✓",
            CellVerdict::Deviates => "~",
            CellVerdict::Fail => "✗",
            CellVerdict::Observed => "o",
            CellVerdict::NotClaimed => "·",
            CellVerdict::Inconclusive => "?",
            CellVerdict::Hang => "H",
            CellVerdict::Crash => "C",
            CellVerdict::Broken => "!",
        }
    }

    /// Whether the rule is known to be broken.
    pub fn is_red(self) -> bool {
        matches!(self, CellVerdict::Fail | CellVerdict::Hang | CellVerdict::Crash)
    }

    /// All of them, in the order of legends.
    pub const ALL: [CellVerdict; 9] = [
        CellVerdict::Pass,
        CellVerdict::Deviates,
        CellVerdict::Fail,
        CellVerdict::Hang,
        CellVerdict::Crash,
        CellVerdict::Broken,
        CellVerdict::Inconclusive,
        CellVerdict::Observed,
        CellVerdict::NotClaimed,
    ];
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// `adapter/configuration`.
    pub link: String,
    /// Name of the rule.
    pub rule: String,
    /// The verdict.
    pub verdict: CellVerdict,
    /// What it rests on, in words.
    pub why: String,
    /// How often runs needed the rule and kept it.
    pub evidence: u32,
    /// What was observed, sorted: normalised outcomes, no times and no raw texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    /// The file that replays it, beside the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// The space-time picture and what was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The reason, if it is a known deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}

impl Cell {
    /// The cell of a link that could not be run at all.
    pub fn broken(link: &str, rule: RuleId, why: &str) -> Self {
        Self {
            link: link.into(),
            rule: rule.to_string(),
            verdict: CellVerdict::Broken,
            why: why.into(),
            evidence: 0,
            observed: Vec::new(),
            replay: None,
            picture: None,
            known: None,
        }
    }
}

/// One link of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportLink {
    /// `adapter/configuration`.
    pub name: String,
    /// The version of the crate, or of the kernel.
    pub version: String,
    /// What it claims.
    pub profile: Profile,
    /// Where its documentation says so.
    #[serde(default)]
    pub documented: Vec<String>,
    /// How many scenarios were run.
    pub runs: u32,
}

/// One rule of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportRule {
    /// Its name.
    pub id: String,
    /// What it says.
    pub says: String,
    /// What it rests on.
    pub source: Vec<String>,
    /// How binding it is.
    pub force: String,
}

/// Everything that came of a run of the suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `ipc-report/1`.
    pub format: String,
    /// Version of the suite.
    pub suite: String,
    /// The seed of the random scenarios.
    pub seed: u64,
    /// The level: quick, standard, deep.
    pub level: String,
    /// Kernel, architecture, processors.
    pub environment: BTreeMap<String, String>,
    /// The links.
    pub links: Vec<ReportLink>,
    /// The rules.
    pub rules: Vec<ReportRule>,
    /// One cell for every link and rule.
    pub cells: Vec<Cell>,
}

/// The rules that have a column: all whose breach can be seen from outside.
pub fn visible_rules() -> impl Iterator<Item = RuleId> {
    RuleId::all().filter(|r| r.rule().kind != Kind::Internal)
}

impl ReportRule {
    /// The rule as the report lists it.
    pub fn of(rule: &Rule) -> Self {
        Self {
            id: rule.id.into(),
            says: rule.says.split_whitespace().collect::<Vec<_>>().join(" "),
            source: rule.sources.iter().map(ToString::to_string).collect(),
            force: rule.force.to_string(),
        }
    }
}

impl Report {
    /// The name of this version of the format.
    pub const FORMAT: &'static str = "ipc-report/1";

    /// The cell of this link and rule.
    pub fn cell(&self, link: &str, rule: &str) -> Option<&Cell> {
        self.cells.iter().find(|c| c.link == link && c.rule == rule)
    }

    /// Every link and rule without a cell: there must be none.
    pub fn missing(&self) -> Vec<(String, String)> {
        let mut missing = Vec::new();
        for link in &self.links {
            for rule in &self.rules {
                if self.cell(&link.name, &rule.id).is_none() {
                    missing.push((link.name.clone(), rule.id.clone()));
                }
            }
        }
        missing
    }

    /// Reads a report.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let report: Self = serde_json::from_str(text).map_err(|e| format!("not a report: {e}"))?;
        if report.format != Self::FORMAT {
            return Err(format!("format {:?} is not {:?}", report.format, Self::FORMAT));
        }
        Ok(report)
    }
}
