//! `rules` and `explain`: the catalogue, generated.

use ipc_model::{Capacity, Order, Profile, RuleId, Source, mutant, scenarios, statement};

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

fn says(rule: RuleId) -> String {
    rule.rule().says.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn list(glob: &str) -> anyhow::Result<u8> {
    for rule in super::select_rules(glob)? {
        let sources: Vec<String> = rule.rule().sources.iter().map(Source::to_string).collect();
        println!("{rule}  [{}, {}]", rule.rule().force, sources.join("; "));
        println!("    {}", says(rule));
        println!("    shown by  {}", scenarios_of(rule).join(", "));
        println!("    broken by {}", mutants_of(rule).join(", "));
    }
    Ok(WELL)
}

pub(super) fn explain(name: &str) -> anyhow::Result<u8> {
    for rule in super::select_rules(name)? {
        println!("{rule}\n\n  {}\n", says(rule));
        println!("  force     {}", rule.rule().force);
        println!("  kind      {}", rule.rule().kind);
        for source in rule.rule().sources {
            match source {
                Source::Statement(id) => {
                    let text = statement(id).map_or("", |s| s.says);
                    println!("  statement {id}: {text}");
                }
                Source::Clause(clause) => println!("  clause    {clause}"),
            }
        }
        println!("  shown by  {}", scenarios_of(rule).join(", "));
        println!("  broken by {}", mutants_of(rule).join(", "));
        println!("\n  ipc-conform run --rule {rule}");
    }
    Ok(WELL)
}
