//! What changed between two reports, link by link and rule by rule.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Cell, CellVerdict, Report};

mod render;

pub use render::{html, markdown, text};

/// What happened to a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The second report has it, the first has not.
    Added,
    /// The first report has it, the second has not.
    Deleted,
    /// Both have it, and its verdict or what was observed differs.
    Changed,
}

impl Kind {
    /// The word that files use.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Deleted => "deleted",
            Kind::Changed => "changed",
        }
    }
}

/// One side of a difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The verdict.
    pub verdict: CellVerdict,
    /// What was observed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    /// What the verdict rests on.
    pub why: String,
    /// The reason, if it is a known deviation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}

impl Side {
    fn of(cell: &Cell) -> Self {
        Self {
            verdict: cell.verdict,
            observed: cell.observed.clone(),
            why: cell.why.clone(),
            known: cell.known.clone(),
        }
    }

    fn is_news(&self) -> bool {
        self.verdict.is_red() && self.known.is_none()
    }
}

/// A cell that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What happened to it.
    pub kind: Kind,
    /// The link, without its version.
    pub link: String,
    /// The rule.
    pub rule: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Side>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Side>,
    /// Whether it is red now, not known, and was not so before.
    pub became_red: bool,
}

/// A link of either report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkPair {
    /// Its name, without its version.
    pub link: String,
    /// Its version in the first report; `None`: it is not there.
    pub before: Option<String>,
    /// Its version in the second.
    pub after: Option<String>,
    /// Whether it claims something else than it did.
    pub claims_changed: bool,
}

/// Everything that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// `ipc-diff/1`.
    pub format: String,
    /// Versions of the suite, before and after: where they differ, a rule may have changed rather
    /// than a link.
    pub suite: [String; 2],
    /// The links.
    pub links: Vec<LinkPair>,
    /// The cells that changed, by link and rule.
    pub changes: Vec<Change>,
    /// How many cells are what they were.
    pub same: usize,
    /// How many cells were left out because one of the runs did not ask for them.
    pub not_asked: usize,
}

impl Diff {
    /// The name of this version of the format.
    pub const FORMAT: &'static str = "ipc-diff/1";

    /// What changed from `before` to `after`.
    pub fn between(before: &Report, after: &Report) -> Self {
        let links = pair(before, after);
        let mut diff = Self {
            format: Self::FORMAT.into(),
            suite: [before.suite.clone(), after.suite.clone()],
            links: Vec::new(),
            changes: Vec::new(),
            same: 0,
            not_asked: 0,
        };
        let (old, new) = (index(before), index(after));
        let mut rules: Vec<&str> = after.rules.iter().map(|r| r.id.as_str()).collect();
        let gone = before.rules.iter().map(|r| r.id.as_str()).filter(|r| !rules.contains(r));
        rules.extend(gone.collect::<Vec<_>>());
        for (name, a, b) in links {
            let link = |report: &Report, name: Option<&str>| {
                report.links.iter().find(|l| Some(l.name.as_str()) == name).cloned()
            };
            let (was, is) = (link(before, a), link(after, b));
            for rule in &rules {
                let was = a.and_then(|link| old.get(&(link, rule)).copied());
                let is = b.and_then(|link| new.get(&(link, rule)).copied());
                diff.compare(&name, rule, was, is);
            }
            diff.links.push(LinkPair {
                link: name,
                claims_changed: matches!((&was, &is), (Some(a), Some(b)) if a.profile != b.profile
                    || a.claims != b.claims),
                before: was.map(|l| l.version),
                after: is.map(|l| l.version),
            });
        }
        diff
    }

    fn compare(&mut self, link: &str, rule: &str, was: Option<&Cell>, is: Option<&Cell>) {
        if [was, is].into_iter().flatten().any(Cell::not_asked) {
            self.not_asked += 1;
            return;
        }
        let kind = match (was, is) {
            (None, None) => return,
            (None, Some(_)) => Kind::Added,
            (Some(_), None) => Kind::Deleted,
            (Some(a), Some(b)) => {
                let known = a.known.is_some() == b.known.is_some();
                if a.verdict == b.verdict && set(a) == set(b) && known {
                    self.same += 1;
                    return;
                }
                Kind::Changed
            }
        };
        let (before, after) = (was.map(Side::of), is.map(Side::of));
        let red = |side: &Option<Side>| side.as_ref().is_some_and(Side::is_news);
        self.changes.push(Change {
            kind,
            link: link.into(),
            rule: rule.into(),
            became_red: red(&after) && !red(&before),
            before,
            after,
        });
    }

    /// The changes that made a cell red.
    pub fn became_red(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|c| c.became_red)
    }
}

fn set(cell: &Cell) -> BTreeSet<&str> {
    cell.observed.iter().map(String::as_str).collect()
}

fn index(report: &Report) -> BTreeMap<(&str, &str), &Cell> {
    report.cells.iter().map(|c| ((c.link.as_str(), c.rule.as_str()), c)).collect()
}

/// The name without the version: `crate@1.2/link` is `crate/link`.
fn plain(link: &str) -> String {
    let (adapter, configuration) = link.split_once('/').unwrap_or((link, ""));
    let adapter = adapter.split('@').next().unwrap_or(adapter);
    if configuration.is_empty() { adapter.into() } else { format!("{adapter}/{configuration}") }
}

type Pair<'a> = (String, Option<&'a str>, Option<&'a str>);

/// Matches links: by their full names first, then by their names without versions where that
/// leaves no doubt.
fn pair<'a>(before: &'a Report, after: &'a Report) -> Vec<Pair<'a>> {
    let names = |r: &'a Report| r.links.iter().map(|l| l.name.as_str()).collect::<Vec<_>>();
    let (mut old, new) = (names(before), names(after));
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let alone =
        |name: &str, among: &[&str]| among.iter().filter(|n| plain(n) == plain(name)).count() == 1;
    let (before_all, after_all) = (old.clone(), new.clone());
    for name in new {
        let exact = old.iter().position(|n| *n == name);
        let same_crate = || {
            let unique = alone(name, &before_all) && alone(name, &after_all);
            old.iter().position(|n| unique && plain(n) == plain(name))
        };
        match exact.or_else(same_crate) {
            Some(place) => {
                let was = old.remove(place);
                let shown = if was == name { name.into() } else { plain(name) };
                pairs.push((shown, Some(was), Some(name)));
            }
            None => pairs.push((name.into(), None, Some(name))),
        }
    }
    pairs.extend(old.into_iter().map(|name| (name.to_string(), Some(name), None)));
    pairs
}
