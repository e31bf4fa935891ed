//! Independent processes neither affect nor are affected by others (P1): what happens on one link
//! is the same whatever happens on another, also while that one's processes are killed. And the
//! opposite (P2), so that this can fail: links that share what they should not are found out.

use std::collections::BTreeSet;

use ipc_model::explore::{Limit, explore, runs};
use ipc_model::mutant::{Mutation, mutant};
use ipc_model::rules::at::At;
use ipc_model::{
    Capacity, Notice, Process, Profile, Ret, Rule, Scenario, Spec, State, check, scenarios,
};

fn profiles() -> Vec<Profile> {
    let told = Some(Notice::Reported);
    let bounded = Profile::mailbox(Capacity::Bounded(1));
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..bounded };
    vec![mortal, Profile { capacity: Capacity::Zero, ..mortal }]
}

/// What a scenario's own processes may be told, and who of them may be left waiting.
type Fates = BTreeSet<Vec<(Vec<Ret>, bool)>>;

fn fates(spec: &Spec, scenario: &Scenario, own: usize) -> Fates {
    let found = explore(spec, scenario, Limit::default());
    assert!(!found.cut_short, "{}", scenario.name);
    let own_part = |o: &ipc_model::explore::Outcome| {
        let fate = |p: usize| (o.told[p].clone(), o.blocked.contains(&Process(p as u16)));
        (0..own).map(fate).collect()
    };
    found.outcomes.iter().map(own_part).collect()
}

/// Small scenarios of one pair of processes, some of which are killed.
fn small(profile: &Profile) -> Vec<Scenario> {
    let calls = |s: &Scenario| -> usize { s.processes.iter().map(|p| p.0.len()).sum() };
    let all = scenarios::standard(profile).into_iter().map(|s| s.scenario);
    all.filter(|s| calls(s) <= 4 && s.width() <= 3 && s.links.len() == 1).collect()
}

/// Pairs of scenarios of which the first ends otherwise beside the second than alone.
fn influenced(spec: &Spec) -> (usize, Vec<String>) {
    let all = small(&spec.profile);
    let (mut compared, mut influenced) = (0, Vec::new());
    for scenario in &all {
        let width = scenario.width();
        let alone = fates(spec, scenario, width);
        for neighbour in &all {
            let both = scenario.beside(neighbour);
            compared += 1;
            if fates(spec, &both, width) != alone {
                influenced.push(both.name);
            }
        }
    }
    (compared, influenced)
}

#[test]
fn no_link_influences_another_also_while_one_of_them_fails() {
    for profile in profiles() {
        assert!(small(&profile).iter().any(Scenario::kills));
        let (compared, influenced) = influenced(&Spec::new(profile));
        assert!(compared > 200, "only {compared}");
        assert_eq!(influenced, Vec::<String>::new());
    }
}

/// A process that dies takes the ends of the other link's processes with it.
fn death_spreads(at: &At<'_>, rule: &Rule, outcomes: ipc_model::Outcomes) -> ipc_model::Outcomes {
    if rule.id != "killed.end.released" {
        return outcomes;
    }
    let spread = |mut next: State| {
        for (number, link) in next.links.iter_mut().enumerate() {
            let before = &at.state.links[number];
            if !before.senders.contains(at.process) && !before.receivers.contains(at.process) {
                (link.senders, link.receivers) = Default::default();
            }
        }
        next
    };
    Some(outcomes?.into_iter().map(spread).collect())
}

#[test]
fn links_that_share_what_they_should_not_are_found_out() {
    let mixed = mutant("mixes-mailboxes-up").unwrap().mutation;
    for (mutation, name) in [(mixed, "mixed"), (death_spreads as Mutation, "death")] {
        let profile = profiles()[0];
        let spec = Spec::mutated(profile, mutation);
        let (_, influenced) = influenced(&spec);
        assert!(!influenced.is_empty(), "{name}");
        // The checker tells it from the history alone, too.
        let all = small(&profile);
        let refused = all.iter().any(|scenario| {
            all.iter().any(|neighbour| {
                let both = scenario.beside(neighbour);
                let runs = runs(&spec, &both, Limit::default());
                runs.values().any(|history| check(&profile, history).counterexample().is_some())
            })
        });
        assert!(refused, "{name}");
    }
}
