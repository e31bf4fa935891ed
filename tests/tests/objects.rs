//! Real named objects against their models, and models that are broken on purpose.

use std::collections::BTreeMap;

use ipc_conformance::objects::{self, Found, Programs, Served, Users};
use ipc_conformance::report::CellVerdict;
use ipc_model::machine::{Errno, Mutation, User, mutations};
use ipc_model::namespace::{self, Namespace, OddNames, Recreation, Withdrawal};
use ipc_model::region::{self, Region, Resized};

use ipc_tests::{conform, text};

const USERS: Users = [User(1), User(2)];

fn memory() -> Region {
    Region { page: 4096, resized: Resized::Current }
}

fn names() -> Namespace {
    Namespace {
        longest: 255,
        odd_names: OddNames::Refused,
        recreation: Recreation::Succeeds,
        places: 2,
        withdrawal: Withdrawal::OfAnyHandle,
    }
}

fn served<M: Programs>(
    machine: M,
    defect: Option<Mutation>,
    lost: &M::Ret,
    programs: u64,
) -> BTreeMap<&'static str, Found> {
    let open = |users: &Users| Ok(Served::new(machine, users, defect, lost.clone()));
    objects::run(machine, USERS, (1, 0..programs), open, &|_| {}).unwrap()
}

fn is_red(found: &BTreeMap<&'static str, Found>) -> bool {
    found.values().any(|f| f.verdict == CellVerdict::Fail)
}

/// As it is meant, the machine passes; with a defect in any rule that programs fire, some program
/// shows it. Rules of which no defect shows are answered. `lost`: what may be answered where the
/// broken rules allow nothing; each is wrong for most calls.
fn unbroken<M: Programs>(machine: M, lost: &[M::Ret]) -> Vec<&'static str> {
    let meant = served(machine, None, &lost[0], 80);
    assert!(!is_red(&meant), "{meant:#?}");
    let fired = |id: &str| meant.get(id).is_some_and(|f| f.verdict == CellVerdict::Pass);
    let mut unbroken = Vec::new();
    for (place, rule) in M::rules().iter().enumerate().filter(|(_, r)| fired(r.id)) {
        let defects: Vec<_> = mutations::<M>().filter(|m| m.rule == place).collect();
        // Without the rule at all it shows soonest.
        let shows = |defect: &Mutation| {
            lost.iter().any(|lost| is_red(&served(machine, Some(*defect), lost, 80)))
        };
        if !defects.iter().rev().any(shows) {
            unbroken.push(rule.id);
        }
    }
    unbroken
}

#[test]
fn a_model_of_memory_served_is_found_out_once_any_rule_of_it_is_broken() {
    let lost = [Errno::NameTooLong].map(region::Ret::Refused);
    assert_eq!(unbroken(memory(), &lost), Vec::<&str>::new());
}

#[test]
fn a_model_of_names_served_is_found_out_once_any_rule_of_it_is_broken() {
    let lost = [Errno::Again, Errno::Exists].map(namespace::Ret::Refused);
    assert_eq!(unbroken(names(), &lost), Vec::<&str>::new());
}

#[test]
fn the_objects_of_this_system_keep_to_the_models_and_nothing_is_left_behind() {
    let output = conform(&["objects", "--programs", "60"]);
    let printed = text(&output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{printed}");
    for rule in ["✓ region.open.existing.opens", "✓ region.read.attached.sees", "✓ name.put.open"]
    {
        assert!(printed.contains(rule), "{printed}");
    }
}
