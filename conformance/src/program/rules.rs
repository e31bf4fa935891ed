//! `rules` and `explain`: the catalogue, generated.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use ipc_conformance::lineage::{self, Lineage};
use ipc_conformance::report::Report;
use ipc_model::defect::guards;
use ipc_model::machine::{Described, Machine};
use ipc_model::namespace::Namespace;
use ipc_model::region::Region;
use ipc_model::{Kind, RuleId, STATEMENTS, Source, statement};

use super::WELL;

fn says(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rules that match.
///
/// # Errors
/// That none does, with the nearest names.
fn select(glob: &str) -> anyhow::Result<Vec<Described>> {
    let all = lineage::everything();
    let selected: Vec<Described> =
        all.iter().copied().filter(|r| super::matches(glob, r.id)).collect();
    if selected.is_empty() {
        let known = ipc_conformance::catalogue::suggest(glob, all.iter().map(|r| r.id));
        anyhow::bail!("no rule is called {glob:?}; {known}");
    }
    Ok(selected)
}

/// What is known about every rule; of links, what the report says.
///
/// # Errors
/// That the report cannot be read.
fn known(report: Option<&Path>) -> anyhow::Result<BTreeMap<&'static str, Lineage>> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Report::parse(&text).with_context(|| path.display().to_string())
    };
    let report = report.map(read).transpose()?;
    Ok(lineage::of_all(report.as_ref()))
}

/// What shows and what breaks a rule, and the links that it was seen on.
fn shown(lineage: &Lineage) {
    if !lineage.scenarios.is_empty() {
        super::say!("    shown by  {}", lineage.scenarios.join(", "));
    }
    if !lineage.mutants.is_empty() {
        super::say!("    broken by {}", lineage.mutants.join(", "));
    }
    if lineage.defects > 0 {
        super::say!("    guarded   {} slips of the pen are noticed", lineage.defects);
    }
    if !lineage.links.is_empty() {
        super::say!("    links     {}", links(lineage));
    }
}

/// `14 links: 13 pass, 1 hang`.
fn links(lineage: &Lineage) -> String {
    let words: Vec<String> = lineage.links.iter().map(|(word, n)| format!("{n} {word}")).collect();
    format!("{} links: {}", lineage.links.values().sum::<usize>(), words.join(", "))
}

pub(super) fn list(glob: &str, report: Option<&Path>) -> anyhow::Result<u8> {
    let known = known(report)?;
    for rule in select(glob)? {
        let sources: Vec<String> = rule.sources.iter().map(Source::to_string).collect();
        super::say!("{}  [{}, {}]", rule.id, rule.force, sources.join("; "));
        super::say!("    {}", says(rule.says));
        shown(&known[rule.id]);
    }
    Ok(WELL)
}

/// Every statement of the text, with what shows it and the rules that cite it.
pub(super) fn by_statement(report: Option<&Path>) -> anyhow::Result<u8> {
    let known = known(report)?;
    for statement in STATEMENTS {
        super::say!("{}  {}", statement.id, statement.says);
        for shown in statement.shown {
            super::say!("    {shown}");
        }
        for rule in lineage::rules_of(statement.id) {
            let lineage = &known[rule.id];
            let (scenarios, mutants) = (lineage.scenarios.len(), lineage.mutants.len());
            let counts =
                [(scenarios, "scenarios"), (mutants, "mutants"), (lineage.defects, "defects")];
            let counts: Vec<String> = counts
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!("{n} {what}"))
                .chain((!lineage.links.is_empty()).then(|| links(lineage)))
                .collect();
            super::say!("    {:<40} {}", rule.id, counts.join(", "));
        }
    }
    Ok(WELL)
}

/// What has to hold for the rule to fire, as it reads after "when".
fn conditions(rule: &Described) -> Vec<String> {
    fn of<M: Machine>(id: &str) -> Option<Vec<String>> {
        let rule = M::rules().iter().find(|r| r.id == id)?;
        Some(rule.when.iter().map(ToString::to_string).collect())
    }
    if let Some(id) = RuleId::of(rule.id) {
        return guards(id).into_iter().map(String::from).collect();
    }
    of::<Region>(rule.id).or_else(|| of::<Namespace>(rule.id)).unwrap_or_default()
}

pub(super) fn explain(name: &str) -> anyhow::Result<u8> {
    let known = known(None)?;
    for rule in select(name)? {
        super::say!("{}\n\n  {}\n", rule.id, says(rule.says));
        super::say!("    force     {}", rule.force);
        super::say!("    kind      {}", rule.kind);
        for source in rule.sources {
            match source {
                Source::Statement(id) => {
                    let text = statement(id).map_or("", |s| s.says);
                    super::say!("    statement {id}: {text}");
                }
                Source::Clause(clause) => super::say!("    clause    {clause}"),
            }
        }
        for condition in conditions(&rule) {
            super::say!("    when      {condition}");
        }
        shown(&known[rule.id]);
        if ipc_conformance::rulebook::named(rule.id).is_some() && rule.kind != Kind::Internal {
            super::say!("\n  ipc-conform run --rule {}", rule.id);
        }
    }
    Ok(WELL)
}
