//! The report: one cell for every link and rule, as data. Formats only read it.

pub mod badge;
pub mod cost;
pub mod diff;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod merge;
mod read;
mod steps;
pub mod text;
mod trace;
pub mod yaml;

pub use read::ReportError;
pub use steps::Steps;
pub use trace::{AllowedStep, Trace};

use std::collections::BTreeMap;

use ipc_model::Profile;
use ipc_model::machine::Described;
use serde::{Deserialize, Serialize};

use crate::campaign::Campaign;
use crate::protocol::Way;

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

    /// What it means, for readers who see it for the first time.
    pub fn meaning(self) -> &'static str {
        match self {
            CellVerdict::Pass => "Some run needed the rule, and every run kept it.",
            CellVerdict::Deviates => {
                "The rule is a recommendation, and it was missed. Not an error, but good to know."
            }
            CellVerdict::Fail => {
                "A recorded run did what the rule forbids. The shortest such run found is shown."
            }
            CellVerdict::Observed => {
                "Nothing asks for either behaviour: what was seen is recorded and compared."
            }
            CellVerdict::NotClaimed => {
                "The link does not promise this, so it was not held to it. Neither good nor bad."
            }
            CellVerdict::Inconclusive => {
                "No run could tell. It is not a pass: the rule is unproven on this link."
            }
            CellVerdict::Hang => {
                "A call that had to return did not, although nothing moved any more."
            }
            CellVerdict::Crash => "A signal ended the code under test.",
            CellVerdict::Broken => {
                "The adapter or the machine failed, so this says nothing about the link."
            }
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
    /// The counterexample itself, for formats that draw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// The reason, if it is a known deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}

impl Cell {
    /// The cell of a link that could not be run at all.
    pub fn broken(link: &str, rule: &str, why: &str) -> Self {
        Self::plain(link, rule, CellVerdict::Broken, why)
    }

    /// The cell of a rule that the link does not claim.
    pub fn not_claimed(link: &str, rule: &str) -> Self {
        Self::plain(link, rule, CellVerdict::NotClaimed, "the link does not claim it")
    }

    /// A cell that says no more than this.
    pub fn plain(link: &str, rule: &str, verdict: CellVerdict, why: &str) -> Self {
        Self {
            link: link.into(),
            rule: rule.into(),
            verdict,
            why: why.into(),
            evidence: 0,
            observed: Vec::new(),
            replay: None,
            picture: None,
            trace: None,
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
    /// What it claims; absent for objects that carry no messages, whose claims follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What objects claim, in words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
    /// Where its documentation says so.
    #[serde(default)]
    pub documented: Vec<String>,
    /// Whether its ends were held by threads, by processes, or by both in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// How many scenarios were run.
    pub runs: u32,
    /// Which steps of the model they took.
    #[serde(default, skip_serializing_if = "Steps::is_empty")]
    pub steps: Steps,
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
    /// Which parts of which campaigns it holds; empty for whole runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Campaign>,
    /// The links.
    pub links: Vec<ReportLink>,
    /// The rules.
    pub rules: Vec<ReportRule>,
    /// One cell for every link and rule.
    pub cells: Vec<Cell>,
}

impl ReportRule {
    /// The rule as the report lists it.
    pub fn of(rule: &Described) -> Self {
        Self {
            id: rule.id.into(),
            says: rule.says.split_whitespace().collect::<Vec<_>>().join(" "),
            source: rule.sources.iter().map(ToString::to_string).collect(),
            force: rule.force.to_string(),
        }
    }

    /// The family: the name up to its first dot.
    pub fn family(&self) -> &str {
        family(&self.id)
    }
}

/// The word as a shell reads it: quoted, unless nothing in it is special.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./@:+,=%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The family of the rule of this name.
pub fn family(rule: &str) -> &str {
    rule.split('.').next().unwrap_or(rule)
}

impl ReportLink {
    /// The adapter: the name up to its first slash, with its version where the name holds one.
    pub fn adapter(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }

    /// The configuration: the name behind its first slash.
    pub fn configuration(&self) -> &str {
        self.name.split_once('/').map_or("", |(_, configuration)| configuration)
    }
}

impl Cell {
    /// Whether the rule is broken, and nobody has said that this is known.
    pub fn is_news(&self) -> bool {
        self.verdict.is_red() && self.known.is_none()
    }

    /// Whether the user chose not to ask for this cell.
    pub fn not_asked(&self) -> bool {
        self.verdict == CellVerdict::Inconclusive && self.why == crate::NOT_ASKED
    }

    /// Whether nobody asked: the user chose not to, or the rule is about another kind of thing, as
    /// a rule of shared memory is for a link. Such a cell is not counted where cells are.
    pub fn is_blank(&self) -> bool {
        self.not_asked() || self.why == crate::objects::ANOTHER_MODEL
    }
}

impl Report {
    /// The cells that say something about their links.
    pub fn told(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| !cell.is_blank())
    }

    /// The name of this version of the format.
    pub const FORMAT: &'static str = "ipc-report/1";

    /// The rules by family, families and rules in the order of the report.
    pub fn families(&self) -> Vec<(&str, Vec<&ReportRule>)> {
        let mut families: Vec<(&str, Vec<&ReportRule>)> = Vec::new();
        for rule in &self.rules {
            match families.iter_mut().find(|(name, _)| *name == rule.family()) {
                Some((_, members)) => members.push(rule),
                None => families.push((rule.family(), vec![rule])),
            }
        }
        families
    }

    /// The cell of this link and rule.
    pub fn cell(&self, link: &str, rule: &str) -> Option<&Cell> {
        self.cells.iter().find(|c| c.link == link && c.rule == rule)
    }

    /// The command that shows the cell again: its replay file, named as seen from the report's
    /// folder, or the run that led to it.
    pub fn command(&self, cell: &Cell) -> String {
        if let Some(replay) = &cell.replay {
            return format!("ipc-conform replay --run {}", shell(replay));
        }
        let (link, rule) = (shell(&cell.link), shell(&cell.rule));
        // A merged report names several levels; the most thorough is the likeliest to show it.
        let levels = ["deep", "standard"];
        let level = levels.into_iter().find(|l| self.level.split(", ").any(|mine| mine == *l));
        let level = level.map(|l| format!(" --level {l}")).unwrap_or_default();
        format!("ipc-conform run {link} --rule {rule} --seed {}{level}", self.seed)
    }

    /// Brings the cells into the order of links and rules, in whatever order they were found.
    pub fn sort(&mut self) {
        let place = |names: Vec<&String>| -> BTreeMap<String, usize> {
            names.into_iter().cloned().enumerate().map(|(i, name)| (name, i)).collect()
        };
        let links = place(self.links.iter().map(|l| &l.name).collect());
        let rules = place(self.rules.iter().map(|r| &r.id).collect());
        self.cells.sort_by_key(|c| (links.get(&c.link).copied(), rules.get(&c.rule).copied()));
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
}
