//! The naming model: its scenarios, its invariants, its mutants and its check.

mod arrivals;
mod calls;
#[path = "../machines/mod.rs"]
mod machines;
mod naming;
mod programs;

use std::collections::BTreeSet;

use ipc_model::machine::{Errno, History, Scenario, User, check};
use ipc_model::namespace::{NameHistory, Namespace, Op, Ret};

use calls::{create, open, put, take, unlink};
use machines::{behaviours, kill_mutants, never_fired, picture, table_of_mutants};

fn scenarios() -> Vec<Scenario<Namespace>> {
    [naming::naming(), arrivals::arrivals()].concat()
}

#[test]
fn the_behaviours_of_every_scenario_are_as_reviewed() {
    insta::assert_snapshot!("namespace_scenarios", picture(&scenarios(), 6));
}

#[test]
fn every_rule_fires_in_some_scenario() {
    let fired: BTreeSet<_> = scenarios().iter().flat_map(|s| behaviours(s).fired).collect();
    assert_eq!(never_fired::<Namespace>(&fired), Vec::<&str>::new());
}

/// Why a mutant cannot be told from the rule as it is meant.
const SURVIVORS: &[(&str, &str, &str)] = &[
    (
        "name.create.lingering.unspecified",
        "condition 4 dropped",
        "no mailbox ever had a name that is too long, so none lingers under one",
    ),
    ("name.forget.foreign.nothing", "effect dropped", "it has none: nothing is taken back"),
];

#[test]
fn every_mutant_is_killed_or_has_a_reason() {
    let text = table_of_mutants(&kill_mutants(&scenarios()), SURVIVORS);
    insta::assert_snapshot!("namespace_mutants", text);
}

#[test]
fn recorded_histories_are_judged_by_name() {
    let judged = |users: &[User], calls: Vec<(u16, Op, Ret)>| {
        let history: NameHistory = History::sequential(Namespace::default(), users, calls);
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<NameHistory>(&text).unwrap(), history);
        check(&history).counterexample().map(ToString::to_string)
    };
    let (one, two) = ([User(0)], [User(0), User(9)]);
    let made = || (0, create("/a", 0), Ret::Done);
    assert_eq!(
        judged(&one, vec![made(), (0, create("/a", 1), Ret::Done)]).unwrap(),
        "P0 create \"/a\" mode 600 as h1 returned ok; allowed here: EEXIST (by \
         name.create.exclusive.clashes)"
    );
    assert_eq!(
        judged(&two, vec![made(), (1, open("/a", 0), Ret::Done)]).unwrap(),
        "P1 open \"/a\" as h0 returned ok; allowed here: EACCES (by name.open.forbidden.refused)"
    );
    let unlinked = |ret| {
        let calls = vec![
            made(),
            (0, put(0, 4), Ret::Done),
            (0, unlink("/a"), Ret::Done),
            (0, create("/a", 1), Ret::Done),
            (0, take(1), ret),
            (0, take(0), Ret::Taken(4)),
        ];
        judged(&one, calls)
    };
    assert_eq!(unlinked(Ret::Refused(Errno::Again)), None);
    assert_eq!(
        unlinked(Ret::Taken(4)).unwrap(),
        "P0 take h1 returned 4; allowed here: EAGAIN (by name.take.empty.refused)"
    );
    let long = format!("/{}", "x".repeat(256));
    let refused = Ret::Refused(Errno::NameTooLong);
    assert_eq!(judged(&one, vec![(0, create(&long, 0), refused)]), None);
    assert!(judged(&one, vec![(0, create(&long, 0), Ret::Done)]).is_some());
}
