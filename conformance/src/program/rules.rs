//! `rules` and `explain`: the catalogue, generated.

use ipc_model::machine::catalogue::{self, Described};
use ipc_model::{
    Capacity, Order, Profile, RuleId, STATEMENTS, Source, mutant, scenarios, statement,
};

use super::WELL;

/// Profiles that between them switch on every rule.
fn profiles() -> Vec<Profile> {
    let capacities =
        [Capacity::Zero, Capacity::Bounded(2), Capacity::AtLeast(1), Capacity::Unbounded];
    let plain = capacities.into_iter().map(Profile::mailbox);
    let told = Some(ipc_model::Notice::Reported);
    let more = mutant::MUTANTS.iter().map(|m| (m.profile)());
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..Profile::default() };
    let ordered = Profile { order: Order::Unordered, ..Profile::default() };
    plain.chain(more).chain([mortal, ordered]).collect()
}

/// The names of the standard scenarios that are there for the rule's sake.
fn scenarios_of(rule: RuleId) -> Vec<String> {
    let all = profiles().into_iter().flat_map(|p| scenarios::standard(&p));
    let about = all.filter(|s| s.about.contains(&rule.rule().id));
    let mut names: Vec<String> = about.map(|s| s.scenario.name).collect();
    names.sort();
    names.dedup();
    names
}

fn mutants_of(rule: RuleId) -> Vec<&'static str> {
    let breaks = mutant::MUTANTS.iter().filter(|m| m.breaks == rule.rule().id);
    breaks.map(|m| m.name).collect()
}

fn says(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rules of every model (links, regions, races, names), the probes, and what is stepped.
fn everything() -> Vec<Described> {
    let probes = ipc_conformance::probe::PROBES.iter().map(|probe| probe.about);
    let stepped = ipc_conformance::stepping::RULES.iter().map(|rule| rule.about);
    catalogue::all().into_iter().chain(probes).chain(stepped).collect()
}

/// The rules that match.
///
/// # Errors
/// That none does, with the nearest names.
fn select(glob: &str) -> anyhow::Result<Vec<Described>> {
    let all = everything();
    let selected: Vec<Described> =
        all.iter().copied().filter(|r| super::matches(glob, r.id)).collect();
    if selected.is_empty() {
        let nearest =
            ipc_conformance::catalogue::nearest(glob, all.iter().map(|r| r.id)).join(", ");
        anyhow::bail!("no rule is called {glob:?}; the nearest are: {nearest}");
    }
    Ok(selected)
}

/// What shows and what breaks a rule of the link model; the other models are not run on links.
fn shown(rule: &Described) {
    let Some(id) = RuleId::of(rule.id) else { return };
    super::say!("    shown by  {}", scenarios_of(id).join(", "));
    super::say!("    broken by {}", mutants_of(id).join(", "));
}

pub(super) fn list(glob: &str) -> anyhow::Result<u8> {
    for rule in select(glob)? {
        let sources: Vec<String> = rule.sources.iter().map(Source::to_string).collect();
        super::say!("{}  [{}, {}]", rule.id, rule.force, sources.join("; "));
        super::say!("    {}", says(rule.says));
        shown(&rule);
    }
    Ok(WELL)
}

/// Every statement of the text, with the rules that cite it.
pub(super) fn by_statement() -> u8 {
    let all = everything();
    for statement in STATEMENTS {
        super::say!("{}  {}", statement.id, statement.says);
        let cites = |r: &&Described| r.sources.contains(&Source::Statement(statement.id));
        let rules: Vec<&str> = all.iter().filter(cites).map(|r| r.id).collect();
        if rules.is_empty() {
            super::say!("    no rule yet");
        }
        for rule in rules {
            super::say!("    {rule}");
        }
    }
    WELL
}

pub(super) fn explain(name: &str) -> anyhow::Result<u8> {
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
        shown(&rule);
        if RuleId::of(rule.id).is_some() {
            super::say!("\n  ipc-conform run --rule {}", rule.id);
        }
    }
    Ok(WELL)
}
