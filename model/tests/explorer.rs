//! The model explored: its size is pinned, its promises hold in every state, and leaving out
//! interleavings loses no outcome.

use std::collections::{BTreeSet, HashSet};

use ipc_model::defect::defects;
use ipc_model::explore::{Limit, Node, PROMISES, Space, count, explore};
use ipc_model::mutant::MUTANTS;
use ipc_model::{
    Capacity, Distribution, Force, Kind, Mode, Modes, Notice, Order, Profile, RuleId, RuleSet,
    STATEMENTS, Scenario, ScenarioBuilder, Source, Spec, scenarios, statement,
};

fn profiles() -> Vec<(&'static str, Profile)> {
    let told = Some(Notice::Reported);
    let silent = Notice::Silent;
    let bounded = Profile::mailbox(Capacity::Bounded(2));
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..bounded };
    let quiet = Profile {
        sender_closed: silent,
        receiver_closed: silent,
        sender_killed: Some(silent),
        receiver_killed: Some(silent),
        ..bounded
    };
    let broadcast = Profile { distribution: Distribution::ToEach, ..bounded };
    let cell = Profile {
        distribution: Distribution::Latest,
        capacity: Capacity::Bounded(1),
        receive: Modes { blocking: false, nonblocking: true, timed: false },
        ..quiet
    };
    vec![
        ("unbounded", Profile::mailbox(Capacity::Unbounded)),
        ("bounded-1", Profile::mailbox(Capacity::Bounded(1))),
        ("bounded-2", bounded),
        ("zero", Profile::mailbox(Capacity::Zero)),
        ("per-sender", Profile { order: Order::PerSender, ..bounded }),
        ("mortal", mortal),
        ("zero-mortal", Profile { capacity: Capacity::Zero, ..mortal }),
        ("quiet", quiet),
        ("broadcast-1", Profile { capacity: Capacity::Bounded(1), ..broadcast }),
        ("broadcast-2", broadcast),
        ("broadcast-mortal", Profile { distribution: Distribution::ToEach, ..mortal }),
        ("cell", cell),
    ]
}

/// Scenarios small enough to explore without reduction too.
fn small(profile: &Profile) -> Vec<Scenario> {
    let calls = |s: &Scenario| -> usize { s.processes.iter().map(|p| p.0.len()).sum() };
    let all = scenarios::standard(profile).into_iter().map(|s| s.scenario);
    all.filter(|s| calls(s) <= 9 && s.width() <= 3).collect()
}

#[test]
fn reduction_loses_no_outcome_and_no_rule() {
    let mut compared = 0;
    for (name, profile) in profiles() {
        let spec = Spec::new(profile);
        for scenario in small(&profile) {
            let whole = explore(&spec, &scenario, Limit { reduced: false, ..Limit::default() });
            let reduced = explore(&spec, &scenario, Limit::default());
            assert!(!whole.cut_short && !reduced.cut_short, "{name} {}", scenario.name);
            assert_eq!(whole.outcomes, reduced.outcomes, "{name} {}", scenario.name);
            assert_eq!(whole.fired, reduced.fired, "{name} {}", scenario.name);
            assert!(reduced.states <= whole.states);
            compared += 1;
        }
    }
    println!("{compared} scenarios explored with and without reduction");
    assert!(compared > 100, "only {compared}");
}

/// How many states there are, by the plainest means.
fn counted_plainly(spec: &Spec, scenario: &Scenario, reduced: bool) -> usize {
    let space = Space::new(spec, scenario, reduced);
    let mut seen: HashSet<Node> = HashSet::from([space.start()]);
    let mut stack = vec![space.start()];
    while let Some(node) = stack.pop() {
        for (_, next) in space.successors(&node) {
            if seen.insert(next.clone()) {
                stack.push(next);
            }
        }
    }
    seen.len()
}

/// The explorer writes states down in few bytes: two that differ must not look the same, nor one
/// look like two; also where a defect sends a message that no script has.
#[test]
fn states_are_told_apart_exactly() {
    let whole = profiles().into_iter().map(|(_, profile)| Spec::new(profile));
    let broken = MUTANTS.iter().map(|m| Spec::mutated((m.profile)(), m.mutation));
    let mut compared = 0;
    for spec in whole.chain(broken) {
        for scenario in small(&spec.profile).iter().filter(|s| s.width() == 2) {
            for reduced in [false, true] {
                let plain = counted_plainly(&spec, scenario, reduced);
                let limit = Limit { states: 1_000_000, reduced };
                assert_eq!(count(&spec, scenario, limit), (plain, false), "{}", scenario.name);
                compared += plain;
            }
        }
    }
    println!("{compared} states told apart");
    assert!(compared > 10_000, "only {compared}");
}

#[test]
fn every_state_keeps_the_promises_of_the_model() {
    for (name, profile) in profiles() {
        let spec = Spec::new(profile);
        for scenario in small(&profile) {
            let found = explore(&spec, &scenario, Limit { reduced: false, ..Limit::default() });
            assert!(found.broken.is_empty(), "{name} {}: {:#?}", scenario.name, found.broken);
        }
    }
}

#[test]
fn every_promise_can_be_broken() {
    let mutants = || MUTANTS.iter().map(|m| Spec::mutated((m.profile)(), m.mutation));
    let bounded = Profile::mailbox(Capacity::Bounded(2));
    let defects = || defects().map(|d| Spec::defective(bounded, d));
    let mut unbroken: BTreeSet<&str> = PROMISES.into();
    for spec in mutants().chain(defects()) {
        for scenario in small(&spec.profile) {
            let found = explore(&spec, &scenario, Limit { states: 20_000, reduced: false });
            unbroken.retain(|promise| !found.broken.iter().any(|b| b.starts_with(promise)));
        }
        if unbroken.is_empty() {
            return;
        }
    }
    panic!("nothing breaks {unbroken:?}");
}

#[test]
fn every_claimed_step_fires_in_a_standard_scenario() {
    for (name, profile) in profiles() {
        let spec = Spec::new(profile);
        let fired = scenarios::standard(&profile)
            .iter()
            .filter(|s| s.repeat == 1)
            .map(|s| explore(&spec, &s.scenario, Limit::default()).fired)
            .fold(RuleSet::default(), RuleSet::or);
        let missing: Vec<_> = spec.rules().iter().filter(|r| !fired.contains(**r)).collect();
        assert!(missing.is_empty(), "{name}: no standard scenario fires {missing:?}");
    }
}

#[test]
fn the_number_of_states_is_pinned() {
    let mut lines = String::new();
    for (name, profile) in profiles().into_iter().filter(|(_, p)| p.receive.blocking) {
        let spec = Spec::new(profile);
        for (senders, receivers, messages) in
            [(1, 1, 1), (1, 1, 2), (2, 1, 1), (2, 2, 1), (2, 2, 2)]
        {
            let mut builder = ScenarioBuilder::new("family", &profile, senders, receivers);
            for _ in 0..messages {
                (0..senders).for_each(|p| {
                    builder.send(p, Mode::Blocking);
                });
            }
            for receiver in senders..senders + receivers {
                for _ in 0..(senders * messages) / receivers {
                    builder.receive(receiver, Mode::Blocking);
                }
            }
            let scenario = builder.build();
            let whole = explore(&spec, &scenario, Limit { reduced: false, ..Limit::default() });
            let reduced = explore(&spec, &scenario, Limit::default());
            assert_eq!(whole.outcomes, reduced.outcomes);
            lines += &format!(
                "{name}: {senders} senders × {messages}, {receivers} receivers: {} states, {} \
                 reduced, {} outcomes\n",
                whole.states,
                reduced.states,
                whole.outcomes.len()
            );
        }
    }
    insta::assert_snapshot!("states", lines);
}

#[test]
fn the_state_graph_of_one_message_is_pinned() {
    let profile = Profile::mailbox(Capacity::Bounded(1));
    let mut builder = ScenarioBuilder::new("one message", &profile, 1, 1);
    builder.send(0, Mode::Blocking).receive(1, Mode::Blocking);
    let graph = ipc_model::explore::dot(&Spec::new(profile), &builder.build(), Limit::default());
    insta::assert_snapshot!("one-message", graph);
}

#[test]
fn every_rule_has_a_source_that_exists_and_every_visible_rule_a_mutant() {
    for id in RuleId::all() {
        let rule = id.rule();
        assert!(!rule.sources.is_empty(), "{id} rests on nothing");
        for source in rule.sources {
            if let Source::Statement(name) = source {
                assert!(statement(name).is_some(), "{id} cites {name}, which does not exist");
            }
        }
        let mutants = MUTANTS.iter().filter(|m| m.breaks == rule.id).count();
        assert!(mutants > 0 || rule.kind == Kind::Internal, "{id} has no mutant");
        assert!(rule.force <= Force::Unspecified);
    }
    for mutant in MUTANTS {
        assert!(RuleId::of(mutant.breaks).is_some(), "{mutant:?} breaks no rule");
        let rule = RuleId::of(mutant.breaks).unwrap().rule();
        assert!((rule.claimed)(&(mutant.profile)()), "{mutant:?} does not claim what it breaks");
    }
    let ids: BTreeSet<_> = RuleId::all().map(|r| r.rule().id).collect();
    assert_eq!(ids.len(), RuleId::all().count(), "two rules have one name");
    assert!(STATEMENTS.len() > 40);
}

#[test]
fn standard_scenarios_are_valid_and_name_rules_that_exist() {
    for (name, profile) in profiles() {
        for standard in scenarios::standard(&profile) {
            assert_eq!(standard.scenario.validate(), Ok(()), "{name}");
            for rule in &standard.about {
                assert!(RuleId::of(rule).is_some(), "{name} {}: {rule}", standard.scenario.name);
            }
        }
    }
}
