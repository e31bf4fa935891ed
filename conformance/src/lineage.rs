//! From a statement of the text to the rules that cite it, and from a rule to the scenarios that
//! lead to it, the links that are broken on purpose to break it, and the links that it was seen
//! to hold on. All of it is generated, and a test fails on whatever leads nowhere.

use std::collections::BTreeMap;

use ipc_model::defect::defects;
use ipc_model::machine::{Described, Machine, catalogue, mutations};
use ipc_model::namespace::Namespace;
use ipc_model::region::Region;
use ipc_model::{
    Capacity, Distribution, Kind, Notice, Order, Profile, RuleId, RuleSet, Source, cover, mutant,
    race, scenarios,
};

use crate::objects;
use crate::report::Report;

/// What there is about one rule.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// The scenarios that are there for the rule's sake, or at least fire it, by name.
    pub scenarios: Vec<String>,
    /// The links that break it on purpose, by the name of their mutant.
    pub mutants: Vec<String>,
    /// How many slips of the pen in the rule itself the tests of the model make, and notice.
    pub defects: usize,
    /// How many links of a report have each verdict on it; links that do not claim it left out.
    pub links: BTreeMap<&'static str, usize>,
}

/// The rules of every model (links, regions, races, names), the probes, and what is stepped.
pub fn everything() -> Vec<Described> {
    let probes = crate::probe::PROBES.iter().map(|probe| probe.about);
    let stepped = crate::stepping::RULES.iter().map(|rule| rule.about);
    catalogue::all().into_iter().chain(probes).chain(stepped).collect()
}

/// The rules that cite the statement of this id.
pub fn rules_of(statement: &str) -> Vec<Described> {
    let cites = |r: &Described| {
        r.sources.iter().any(|s| matches!(s, Source::Statement(id) if *id == statement))
    };
    everything().into_iter().filter(cites).collect()
}

/// What there is about every rule, by name. `report`: what links were seen to do.
pub fn of_all(report: Option<&Report>) -> BTreeMap<&'static str, Lineage> {
    let mut all: BTreeMap<&'static str, Lineage> =
        everything().into_iter().map(|r| (r.id, Lineage::default())).collect();
    add_scenarios(&mut all);
    for mutant in mutant::MUTANTS {
        all.entry(mutant.breaks).or_default().mutants.push(mutant.name.into());
    }
    for defect in defects() {
        all.entry(defect.rule.rule().id).or_default().defects += 1;
    }
    add_mutations::<Region>(&mut all);
    add_mutations::<Namespace>(&mut all);
    for (rule, programs) in objects::programs() {
        all.entry(rule).or_default().scenarios.extend(programs);
    }
    for (rule, witness) in race::witnesses() {
        let name = format!("witness of {} events", witness.events.len());
        all.entry(rule).or_default().scenarios.push(name);
    }
    for rule in race::RULES {
        // Each is left out by itself, and the detector then finds too much or too little.
        all.entry(rule.id).or_default().defects += 1;
    }
    for cell in report.iter().flat_map(|r| &r.cells) {
        let claimed = cell.verdict != crate::report::CellVerdict::NotClaimed;
        if let Some(lineage) = all.get_mut(cell.rule.as_str()).filter(|_| claimed) {
            *lineage.links.entry(cell.verdict.word()).or_default() += 1;
        }
    }
    all
}

/// Profiles that between them switch on every rule of the link model.
fn profiles() -> Vec<Profile> {
    let capacities =
        [Capacity::Zero, Capacity::Bounded(2), Capacity::AtLeast(1), Capacity::Unbounded];
    let plain = capacities.into_iter().map(Profile::mailbox);
    let told = Some(Notice::Reported);
    let more = mutant::MUTANTS.iter().map(|m| (m.profile)());
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..Profile::default() };
    let ordered = Profile { order: Order::Unordered, ..Profile::default() };
    let each = Profile { distribution: Distribution::ToEach, ..Profile::default() };
    plain.chain(more).chain([mortal, ordered, each]).collect()
}

fn add_scenarios(all: &mut BTreeMap<&'static str, Lineage>) {
    let mut about: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for standard in profiles().iter().flat_map(scenarios::standard) {
        for rule in standard.about {
            about.entry(rule).or_default().push(standard.scenario.name.clone());
        }
    }
    // What nobody can see from outside has no scenario of its own: tours fire it.
    let internal = |r: &RuleId| r.rule().kind == Kind::Internal;
    let unseen: RuleSet = RuleId::all().filter(internal).collect();
    let told = Some(Notice::Reported);
    let one = ipc_model::Holders::One;
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..Profile::default() };
    let mortal = Profile { senders: one, receivers: one, ..mortal };
    for tour in cover::covering(&mortal).scenarios {
        for rule in tour.fired.and(unseen).iter() {
            about.entry(rule.rule().id).or_default().push(tour.scenario.name.clone());
        }
    }
    for (rule, mut names) in about {
        names.sort();
        names.dedup();
        all.entry(rule).or_default().scenarios = names;
    }
}

fn add_mutations<M: Machine>(all: &mut BTreeMap<&'static str, Lineage>) {
    for mutation in mutations::<M>() {
        all.entry(M::rules()[mutation.rule].id).or_default().defects += 1;
    }
}
