//! The scenarios that the model makes for itself: they fire every rule, and every pair of rules
//! of which one can follow the other.

use std::fmt::Write;

use ipc_model::cover::{Pairs, covering};
use ipc_model::explore::{Limit, explore};
use ipc_model::{
    Addressing, Capacity, Distribution, Holders, Modes, Notice, Order, Profile, Size, Spec,
    scenarios,
};

fn profiles() -> Vec<(&'static str, Profile)> {
    let told = Some(Notice::Reported);
    let bounded = Profile::mailbox(Capacity::Bounded(2));
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..bounded };
    let one = Holders::One;
    let (addressing, never) = (Addressing::Symmetric, Modes { timed: false, ..Modes::default() });
    vec![
        ("unbounded", Profile::default()),
        ("bounded-1", Profile::mailbox(Capacity::Bounded(1))),
        ("bounded-2", bounded),
        ("bounded-10", Profile::mailbox(Capacity::Bounded(10))),
        ("zero", Profile::mailbox(Capacity::Zero)),
        ("at-least-1", Profile::mailbox(Capacity::AtLeast(1))),
        ("mortal", mortal),
        ("zero-mortal", Profile { capacity: Capacity::Zero, ..mortal }),
        (
            "quiet",
            Profile { sender_closed: Notice::Silent, receiver_closed: Notice::Silent, ..bounded },
        ),
        ("direct", Profile { addressing, senders: one, receivers: one, ..bounded }),
        ("broadcast", Profile { distribution: Distribution::ToEach, ..bounded }),
        ("nothing-timed", Profile { send: never, receive: never, ..bounded }),
        (
            "small-priority",
            Profile { order: Order::Priority, size: Size::NonemptyUpTo(8), ..bounded },
        ),
    ]
}

/// Every pair that any small standard scenario fires, in any interleaving.
fn pairs_at_the_same_time(profile: &Profile) -> Pairs {
    let spec = Spec::new(*profile);
    let mut pairs = Pairs::new();
    for standard in scenarios::standard(profile) {
        let scenario = standard.scenario;
        let calls: usize = scenario.processes.iter().map(|p| p.0.len()).sum();
        if calls <= 9 && scenario.width() <= 3 {
            let whole = Limit { reduced: false, ..Limit::default() };
            pairs.extend(explore(&spec, &scenario, whole).pairs);
        }
    }
    pairs
}

#[test]
fn tours_fire_every_rule_and_all_pairs_but_those_that_need_calls_at_the_same_time() {
    let mut table = String::new();
    for (name, profile) in profiles() {
        let covering = covering(&profile);
        for covered in &covering.scenarios {
            assert_eq!(covered.scenario.validate(), Ok(()), "{name} {}", covered.scenario.name);
            assert!(covered.scenario.fits(&profile), "{name} {}", covered.scenario.name);
        }
        let spec = Spec::new(profile);
        let missing: Vec<_> =
            spec.rules().iter().filter(|r| !covering.fired.contains(**r)).collect();
        assert!(missing.is_empty(), "{name}: no tour fires {missing:?}");
        let (tours, pairs) = (covering.scenarios.len(), covering.pairs.len());
        writeln!(table, "{name}: {tours} tours fire {pairs} pairs; races add:").unwrap();
        for (first, second) in pairs_at_the_same_time(&profile).difference(&covering.pairs) {
            writeln!(table, "    {first}, {second}").unwrap();
        }
    }
    insta::assert_snapshot!("cover", table);
}

#[test]
fn the_same_profile_gives_the_same_tours() {
    let names = || {
        let scenarios = covering(&Profile::mailbox(Capacity::Zero)).scenarios;
        scenarios.into_iter().map(|c| c.scenario).collect::<Vec<_>>()
    };
    assert_eq!(names(), names());
}
