//! Known deviations: red cells that somebody has looked at, with the reason. One that no longer
//! occurs fails the run until it is removed.

use serde::Deserialize;

use crate::catalogue;
use crate::report::{Cell, CellVerdict, Report};
use crate::rulebook;

/// One reviewed deviation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// `adapter/configuration`, or `adapter/*`.
    pub link: String,
    /// Name of the rule, in which `*` stands for anything.
    pub rule: String,
    /// The verdict that is known.
    pub verdict: CellVerdict,
    /// Why it is so, and where that is documented.
    pub reason: String,
    /// The versions it was seen in; every version, if empty.
    #[serde(default)]
    pub versions: Vec<String>,
    /// How the verdict comes about: a rare one is not stale where it fails to show.
    #[serde(default)]
    pub racy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    deviation: Vec<Deviation>,
}

/// Reads the file of known deviations.
///
/// # Errors
/// What is wrong with it, with the line; a rule that does not exist; a reason that is missing.
pub fn parse(text: &str) -> Result<Vec<Deviation>, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    for deviation in &file.deviation {
        let named = |entry: rulebook::Entry| catalogue::matches(&deviation.rule, entry.about.id);
        if !rulebook::everything().any(named) {
            return Err(format!("a deviation names the rule {:?}: there is none", deviation.rule));
        }
        if deviation.reason.trim().is_empty() {
            let (link, rule) = (&deviation.link, &deviation.rule);
            return Err(format!("the deviation of {link} from {rule} has no reason"));
        }
    }
    Ok(file.deviation)
}

impl Deviation {
    /// Whether it is about this link in this version.
    fn concerns(&self, link: &str, version: &str) -> bool {
        let named = match self.link.strip_suffix("/*") {
            Some(adapter) => link.split('/').next() == Some(adapter),
            None => link == self.link,
        };
        named && (self.versions.is_empty() || self.versions.iter().any(|v| v == version))
    }

    /// Whether it is this cell's, if it is about the cell's link.
    fn is_of(&self, cell: &Cell) -> bool {
        catalogue::matches(&self.rule, &cell.rule) && cell.verdict == self.verdict
    }
}

/// Marks the cells of one link that deviate as known.
pub fn mark(deviations: &[Deviation], version: &str, cells: &mut [Cell]) {
    for cell in cells {
        let known = |d: &&Deviation| d.concerns(&cell.link, version) && d.is_of(cell);
        cell.known = deviations.iter().find(known).map(|d| d.reason.clone());
    }
}

/// Marks the cells that deviate as known, and answers the deviations that did not occur although
/// their link was run.
pub fn apply<'a>(deviations: &'a [Deviation], report: &mut Report) -> Vec<&'a Deviation> {
    let mut stale = Vec::new();
    for deviation in deviations {
        let concerned: Vec<String> = report
            .links
            .iter()
            .filter(|l| deviation.concerns(&l.name, &l.version))
            .map(|l| l.name.clone())
            .collect();
        let about = |rule: &str| catalogue::matches(&deviation.rule, rule);
        let mut occurs = concerned.is_empty() || deviation.racy;
        for cell in &mut report.cells {
            if concerned.contains(&cell.link) && deviation.is_of(cell) {
                cell.known = Some(deviation.reason.clone());
                occurs = true;
            }
        }
        let asked =
            |c: &Cell| concerned.contains(&c.link) && about(&c.rule) && c.why != crate::NOT_ASKED;
        if !occurs && report.cells.iter().any(asked) {
            stale.push(deviation);
        }
    }
    stale
}
