//! Joins reports of one suite: shards of a campaign, run at different times and places.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cell, CellVerdict, Report, ReportLink};
use crate::campaign::{self, Campaign, ShardError};
use crate::objects;

/// Why two reports cannot be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to join.
    #[error("there is no report to merge")]
    Nothing,
    /// They are parts of one campaign, and overlap.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// Their suites differ, so that one name may mean two things.
    #[error("they come from different versions of the suite: {first} and {second}")]
    Suite {
        /// That of the first report.
        first: String,
        /// That of the other one.
        second: String,
    },
    /// Their rules differ.
    #[error("their rule sets differ: {rule} {how}")]
    Rules {
        /// The first rule that differs.
        rule: String,
        /// In what.
        how: &'static str,
    },
    /// The same name stands for two links.
    #[error(
        "{link} is not the same link in both: its {what} is {first} in one and {second} in the other"
    )]
    Link {
        /// The name.
        link: String,
        /// Version or profile.
        what: &'static str,
        /// That of the first report.
        first: String,
        /// That of the other one.
        second: String,
    },
}

/// Adds `other` to `report`. Of two cells about the same link and rule, the worse one stays; a
/// cell that was not asked for, or whose rule no run needed, gives way to one that says something.
/// A property of objects holds once the steps that show it were seen, each by whichever report.
///
/// # Errors
/// Why the two do not belong together; `report` is unchanged then.
pub fn merge(report: &mut Report, other: &Report) -> Result<(), MergeError> {
    compatible(report, other)?;
    for link in &other.links {
        match report.links.iter_mut().find(|l| l.name == link.name) {
            Some(mine) => {
                mine.runs = mine.runs.saturating_add(link.runs);
                mine.steps.merge(&link.steps);
                mine.ways = BTreeSet::from_iter(mine.ways.iter().chain(&link.ways).copied())
                    .into_iter()
                    .collect();
            }
            None => report.links.push(link.clone()),
        }
    }
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (place, cell) in report.cells.iter().enumerate() {
        places.insert((cell.link.clone(), cell.rule.clone()), place);
    }
    for cell in &other.cells {
        match places.get(&(cell.link.clone(), cell.rule.clone())) {
            Some(place) => join(&mut report.cells[*place], cell),
            None => report.cells.push(cell.clone()),
        }
    }
    judge_properties(report);
    report.level = both(&report.level, &other.level);
    if report.seed != other.seed {
        // The format has one seed; what else there was is kept where people can read it.
        let seeds = report.environment.get("seeds").cloned();
        let seeds = seeds.unwrap_or_else(|| report.seed.to_string());
        report.environment.insert("seeds".into(), both(&seeds, &other.seed.to_string()));
    }
    for (name, value) in &other.environment {
        let mine = report.environment.entry(name.clone()).or_insert_with(|| value.clone());
        *mine = both(mine, value);
    }
    report.shards.extend(other.shards.iter().cloned());
    report.sort();
    Ok(())
}

/// Judges properties of objects by all that was seen: no single report may have seen it all.
fn judge_properties(report: &mut Report) {
    for cell in &mut report.cells {
        let steps = objects::shown_by(&cell.rule);
        let open = cell.verdict == CellVerdict::Inconclusive && !cell.not_asked();
        let link = report.links.iter().find(|l| l.name == cell.link && l.profile.is_none());
        let (false, true, Some(link)) = (steps.is_empty(), open, link) else { continue };
        // What a report saw broken made the property fail there.
        let seen: Option<Vec<u32>> =
            steps.iter().map(|step| link.steps.fired.get(*step).copied()).collect();
        if let Some(least) = seen.and_then(|runs| runs.into_iter().min()) {
            let plain = objects::shown(steps);
            let verdict = CellVerdict::Pass;
            *cell =
                Cell { evidence: least, ..Cell::plain(&cell.link, &cell.rule, verdict, &plain) };
        }
    }
}

fn compatible(report: &Report, other: &Report) -> Result<(), MergeError> {
    let parts: Vec<Campaign> = report.shards.iter().chain(&other.shards).cloned().collect();
    campaign::distinct(&parts)?;
    if report.suite != other.suite {
        let (first, second) = (report.suite.clone(), other.suite.clone());
        return Err(MergeError::Suite { first, second });
    }
    let rules = |r: &Report| -> BTreeMap<String, _> {
        r.rules.iter().map(|r| (r.id.clone(), r.clone())).collect()
    };
    let (mine, theirs) = (rules(report), rules(other));
    for name in mine.keys().chain(theirs.keys()) {
        let how = match (mine.get(name), theirs.get(name)) {
            (Some(_), None) | (None, Some(_)) => "is in one of them only",
            (Some(a), Some(b)) if a != b => "is worded, sourced or binding differently",
            _ => continue,
        };
        return Err(MergeError::Rules { rule: name.clone(), how });
    }
    for link in &other.links {
        if let Some(mine) = report.links.iter().find(|l| l.name == link.name) {
            same_link(mine, link)?;
        }
    }
    Ok(())
}

fn same_link(a: &ReportLink, b: &ReportLink) -> Result<(), MergeError> {
    let differ = |what, first: String, second: String| {
        Err(MergeError::Link { link: a.name.clone(), what, first, second })
    };
    if a.version != b.version {
        return differ("version", a.version.clone(), b.version.clone());
    }
    if a.profile != b.profile {
        let text = |l: &ReportLink| serde_json::to_string(&l.profile).unwrap_or_default();
        return differ("profile", text(a), text(b));
    }
    if a.claims != b.claims {
        return differ("claims", format!("{:?}", a.claims), format!("{:?}", b.claims));
    }
    Ok(())
}

/// How much a cell says, and how bad it is.
fn weight(cell: &Cell) -> u8 {
    match cell.verdict {
        CellVerdict::Fail => 9,
        CellVerdict::Hang => 8,
        CellVerdict::Crash => 7,
        CellVerdict::Broken => 6,
        CellVerdict::Deviates => 5,
        CellVerdict::Observed => 4,
        // That one shard did not need a rule takes nothing from another that did.
        CellVerdict::Inconclusive if cell.not_asked() => 0,
        CellVerdict::Inconclusive if cell.why == crate::NOT_NEEDED => 1,
        CellVerdict::Inconclusive => 3,
        CellVerdict::Pass | CellVerdict::NotClaimed => 2,
    }
}

fn join(mine: &mut Cell, other: &Cell) {
    let evidence = mine.evidence.saturating_add(other.evidence);
    let mut observed: BTreeSet<String> = mine.observed.iter().cloned().collect();
    observed.extend(other.observed.iter().cloned());
    // Of two equally bad cells the one with a reason is no excuse for the one without.
    let worse = (weight(other), other.known.is_none()) > (weight(mine), mine.known.is_none());
    if worse {
        *mine = other.clone();
    }
    mine.evidence = evidence;
    mine.observed = observed.into_iter().collect();
    if mine.verdict == CellVerdict::Pass && objects::shown_by(&mine.rule).is_empty() {
        mine.why = format!("needed and kept in {evidence} runs");
    }
}

/// Both, if they differ. Joined values may be joined again.
fn both(a: &str, b: &str) -> String {
    if a.split(", ").any(|part| part == b) { a.into() } else { format!("{a}, {b}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTY: &str = "region.content.persists";

    /// What a shard says that saw these steps.
    fn shard(seen: &[&str]) -> Report {
        let fired = seen.iter().map(|step| ((*step).to_owned(), 3)).collect();
        let steps = crate::report::Steps { fired, ..Default::default() };
        let link = ReportLink {
            name: "objects/posix-shm".into(),
            version: "6".into(),
            profile: None,
            claims: BTreeMap::new(),
            documented: Vec::new(),
            ways: Vec::new(),
            runs: 3,
            steps,
        };
        let why = crate::NOT_NEEDED;
        let cell = Cell::plain(&link.name, PROPERTY, CellVerdict::Inconclusive, why);
        Report {
            format: Report::FORMAT.into(),
            suite: String::new(),
            seed: 1,
            level: "quick".into(),
            environment: BTreeMap::new(),
            shards: Vec::new(),
            links: vec![link],
            rules: Vec::new(),
            cells: vec![cell],
        }
    }

    #[test]
    fn a_property_holds_once_all_shards_together_have_seen_what_shows_it() {
        let [read, exit, attach] = objects::shown_by(PROPERTY) else { panic!("three steps") };
        let mut joined = shard(&[read, attach]);
        merge(&mut joined, &shard(&[read])).unwrap();
        assert_eq!(joined.cells[0].verdict, CellVerdict::Inconclusive, "nobody saw an exit");
        merge(&mut joined, &shard(&[exit])).unwrap();
        assert_eq!(joined.cells[0].verdict, CellVerdict::Pass);
        assert_eq!(joined.cells[0].evidence, 3);
        assert!(joined.cells[0].why.contains(exit), "{}", joined.cells[0].why);
    }

    #[test]
    fn a_property_that_one_shard_saw_broken_stays_so() {
        let mut joined = shard(objects::shown_by(PROPERTY));
        let mut other = shard(&[]);
        other.cells[0].verdict = CellVerdict::Fail;
        merge(&mut joined, &other).unwrap();
        assert_eq!(joined.cells[0].verdict, CellVerdict::Fail);
    }
}
