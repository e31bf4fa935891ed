//! `bisect`: the first version of a crate where the verdict on a rule changes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use ipc_conformance::catalogue::{self, Selection};
use ipc_conformance::report::{CellVerdict, Report};
use ipc_conformance::versions::{self, Bisected};
use semver::Version;

use super::diff::run_kept;
use super::{Asked, BisectArguments, INCONCLUSIVE, WELL};

/// How a version behaves: the verdict of each link on each rule that was asked for.
type Behaviour = BTreeMap<(String, String), CellVerdict>;

pub(super) fn bisect(arguments: &BisectArguments) -> anyhow::Result<u8> {
    super::select_rules(&arguments.rule)?;
    let selection = Selection::parse(&arguments.link);
    let known = catalogue::adapters().map_err(anyhow::Error::msg)?;
    if !known.contains(&selection.adapter) {
        return Err(super::no_adapter(&selection.adapter, known.iter().map(String::as_str)));
    }
    if let Some(version) = &selection.version {
        bail!(
            "many versions of {} are run: give --from {version} or --to {version}",
            selection.adapter
        );
    }
    let row = row(arguments, &selection.adapter)?;
    let (first, last) = (&row[0], &row[row.len() - 1]);
    super::say!("{} {}, {} versions, {first} to {last}", arguments.link, arguments.rule, row.len());

    let kept = || versions::target().join("ipc-conform/bisect");
    let kept = arguments.keep.clone().unwrap_or_else(kept);
    let mut bench = Bench { arguments, selection, kept: &kept, failed: None };
    let found = if arguments.every {
        bench.judge_every(&row)
    } else {
        versions::bisect(row.len(), |place| bench.judge(&row[place]))
    };
    if let Some(why) = bench.failed {
        return Err(why);
    }
    super::say!("reports: {}", kept.display());
    Ok(tell(arguments, &row, &found))
}

/// The versions to look through, the oldest first.
fn row(arguments: &BisectArguments, adapter: &str) -> anyhow::Result<Vec<Version>> {
    let all = versions::published(adapter).map_err(anyhow::Error::msg)?;
    let BisectArguments { from, to, .. } = arguments;
    for (option, version) in [("from", from), ("to", to)] {
        if let Some(version) = version.as_ref().filter(|v| !all.contains(v)) {
            let names: Vec<String> = all.iter().map(ToString::to_string).collect();
            let known = catalogue::suggest(&version.to_string(), names.iter().map(String::as_str));
            bail!("--{option} {version}: no such version is published, or it was yanked; {known}");
        }
    }
    let within = |v: &&Version| {
        from.as_ref().is_none_or(|from| *v >= from) && to.as_ref().is_none_or(|to| *v <= to)
    };
    // A version before its release is only looked at where it was asked for.
    let asked =
        |v: &&Version| v.pre.is_empty() || from.as_ref() == Some(*v) || to.as_ref() == Some(*v);
    let row: Vec<Version> = all.iter().filter(within).filter(asked).cloned().collect();
    if row.len() < 2 {
        bail!(
            "there are {} versions of {adapter} to compare: give others by --from and --to",
            row.len()
        );
    }
    Ok(row)
}

/// Runs versions, and tells of each.
struct Bench<'a> {
    arguments: &'a BisectArguments,
    selection: Selection,
    kept: &'a Path,
    /// Why nothing more can be run.
    failed: Option<anyhow::Error>,
}

impl Bench<'_> {
    /// How the version behaves; `None` if it is broken.
    fn judge(&mut self, version: &Version) -> Option<Behaviour> {
        if self.failed.is_some() {
            return None;
        }
        let version = version.to_string();
        let adapter = &self.selection.adapter;
        let configuration = self.selection.link.as_ref().map(|l| format!("/{l}"));
        let name = format!("{adapter}@{version}{}", configuration.unwrap_or_default());
        let asked = Asked {
            rule: Some(self.arguments.rule.clone()),
            level: self.arguments.level,
            seed: self.arguments.seed,
        };
        let decided = match run_kept(&name, &asked, self.kept) {
            Ok(decided) => decided,
            Err(why) => {
                self.failed = Some(why);
                return None;
            }
        };
        if decided.complete().is_err() {
            let why = decided.report.cells.first().map_or("", |cell| cell.why.as_str());
            // The first line says what is wrong; the report has the rest.
            let why = why.lines().next().unwrap_or_default();
            super::say!("  {version:<12} broken: {why}");
            return None;
        }
        let behaviour = behaviour(&decided.report);
        super::say!("  {version:<12} {}", words(&behaviour));
        Some(behaviour)
    }

    /// Judges every version, and answers the first change.
    fn judge_every(&mut self, row: &[Version]) -> Bisected {
        let judged = row.iter().enumerate().filter_map(|(i, v)| Some((i, self.judge(v)?)));
        let judged: Vec<(usize, Behaviour)> = judged.collect();
        match judged.windows(2).find(|pair| pair[0].1 != pair[1].1) {
            Some(pair) => Bisected::Changed { before: pair[0].0, after: pair[1].0 },
            None if judged.len() < 2 => Bisected::Unjudged,
            None => Bisected::Alike,
        }
    }
}

/// What was asked for, without what the adapter's program calls itself.
fn behaviour(report: &Report) -> Behaviour {
    let asked = report.cells.iter();
    let asked = asked.filter(|c| !c.not_asked() && c.verdict != CellVerdict::NotClaimed);
    let name = |link: &str| link.split_once('/').map_or(link, |(_, l)| l).to_string();
    asked.map(|c| ((name(&c.link), c.rule.clone()), c.verdict)).collect()
}

/// How many of which verdict, the worst first.
fn words(behaviour: &Behaviour) -> String {
    if let [(_, verdict)] = behaviour.iter().collect::<Vec<_>>()[..] {
        return verdict.word().into();
    }
    let count = |verdict| behaviour.values().filter(|v| **v == verdict).count();
    let mut parts = Vec::new();
    for verdict in CellVerdict::ALL {
        let links: Vec<&str> = behaviour
            .iter()
            .filter(|(_, v)| **v == verdict && verdict.is_red())
            .map(|((link, _), _)| link.as_str())
            .collect();
        match count(verdict) {
            0 => {}
            n if links.is_empty() => parts.push(format!("{n} {}", verdict.word())),
            _ => parts.push(format!("{} {}", verdict.word(), links.join(" "))),
        }
    }
    parts.join(", ")
}

fn tell(arguments: &BisectArguments, row: &[Version], found: &Bisected) -> u8 {
    let adapter = &arguments.link;
    match *found {
        Bisected::Changed { before, after } => {
            let (old, new) = (&row[before], &row[after]);
            super::say!("changed: {new} is the first that behaves otherwise than {old}");
            if after - before > 1 {
                super::say!("  {} versions between them cannot be judged", after - before - 1);
            }
            let (name, link) =
                adapter.split_once('/').map_or((adapter.as_str(), ""), |(a, l)| (a, l));
            let slash = if link.is_empty() { "" } else { "/" };
            super::say!(
                "  ipc-conform diff {name}@{old}{slash}{link} {name}@{new}{slash}{link} --rule '{}'",
                arguments.rule
            );
            WELL
        }
        Bisected::Alike if arguments.every => {
            super::say!("no change: all versions that can be judged behave alike");
            WELL
        }
        Bisected::Alike => {
            super::say!("no change between the two ends; --every looks at what lies between them");
            INCONCLUSIVE
        }
        Bisected::Unjudged => {
            super::say!("undecided: fewer than two of these versions can be judged");
            INCONCLUSIVE
        }
    }
}
