//! The model broken, one place at a time: every guard of every rule dropped and negated, every
//! effect left out, every rule removed. Something has to notice each of these defects.

use std::fmt::Write;

use ipc_model::cover::covering;
use ipc_model::defect::{Defect, defects, guards};
use ipc_model::explore::{Exploration, Limit, explore, runs};
use ipc_model::{
    Addressing, Capacity, Distribution, Holders, Kind, Mode, Modes, Notice, Order, Profile, RuleId,
    Scenario, ScenarioBuilder, Size, Spec, check, scenarios,
};

/// Profiles that between them switch on every rule that is a step, with messages that do not fit.
fn profiles() -> Vec<Profile> {
    let told = Some(Notice::Reported);
    let silent = Notice::Silent;
    let size = Size::NonemptyUpTo(8);
    let bounded = Profile { size, ..Profile::mailbox(Capacity::Bounded(1)) };
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..bounded };
    let one = Holders::One;
    let direct = Profile {
        addressing: Addressing::Symmetric,
        senders: one,
        receivers: one,
        size: Size::Fixed(8),
        ..bounded
    };
    let (capacity, order) = (Capacity::AtLeast(1), Order::PerSender);
    vec![
        bounded,
        Profile { capacity: Capacity::Zero, ..bounded },
        Profile { capacity: Capacity::Unbounded, ..bounded },
        mortal,
        Profile { capacity: Capacity::Zero, ..mortal },
        Profile { sender_closed: silent, receiver_closed: silent, ..bounded },
        direct,
        Profile { capacity, order, ..bounded },
        Profile { distribution: Distribution::ToEach, ..mortal },
        Profile { size, ..cell() },
    ]
}

/// A state cell, which has but one way to read.
fn cell() -> Profile {
    let (silent, distribution) = (Notice::Silent, Distribution::Latest);
    let receive = Modes { blocking: false, nonblocking: true, timed: false };
    let cell = Profile { distribution, receive, ..Profile::mailbox(Capacity::Bounded(1)) };
    Profile { sender_closed: silent, receiver_closed: silent, ..cell }
}

/// A message of a size that the link never takes, sent in every situation that a send can meet.
fn odd_sizes(profile: &Profile) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for mode in [Mode::Blocking, Mode::Nonblocking, Mode::Timed] {
        for situation in ["full", "receiver waits", "receiver closed", "receiver killed"] {
            let mut s = ScenarioBuilder::new(situation, profile, 1, 1);
            match situation {
                "full" => {
                    s.send(0, Mode::Nonblocking);
                }
                "receiver waits" => {
                    s.receive(1, Mode::Blocking).await_blocked(0, 1);
                }
                "receiver closed" => {
                    s.close(1).await_return(0, 1);
                }
                _ => {
                    s.kill(0, 1);
                }
            }
            s.size(20).send(0, mode);
            if s.build().fits(profile) {
                scenarios.push(s.build());
            }
        }
    }
    scenarios
}

const LIMIT: Limit = Limit { states: 20_000, reduced: true };

/// What noticed a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Notices {
    /// A state breaks a promise of the model.
    Promise,
    /// The checker refuses a run that the defective model allows.
    Checker,
    /// No scenario fires the rule any more.
    NeverFires,
}

struct Case {
    profile: Profile,
    scenario: Scenario,
    found: Exploration,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for profile in profiles() {
        let spec = Spec::new(profile);
        let calls = |s: &Scenario| -> usize { s.processes.iter().map(|p| p.0.len()).sum() };
        let standard = scenarios::standard(&profile).into_iter().map(|s| s.scenario);
        let tours = covering(&profile).scenarios.into_iter().map(|s| s.scenario);
        let small = standard.filter(|s| calls(s) <= 9 && s.width() <= 3);
        for scenario in small.chain(odd_sizes(&profile)).chain(tours) {
            let found = explore(&spec, &scenario, LIMIT);
            assert!(found.broken.is_empty() && !found.cut_short, "{}", scenario.name);
            cases.push(Case { profile, scenario, found });
        }
    }
    cases
}

/// What first notices the defect, and in which scenario.
fn noticed(cases: &[Case], defect: Defect) -> Option<(Notices, &str)> {
    let mut fires = false;
    for case in cases.iter().filter(|c| (defect.rule.rule().claimed)(&c.profile)) {
        let spec = Spec::defective(case.profile, defect);
        let found = explore(&spec, &case.scenario, LIMIT);
        let name = case.scenario.name.as_str();
        if !found.broken.is_empty() {
            return Some((Notices::Promise, name));
        }
        fires |= found.fired.contains(defect.rule);
        // Where nothing ends otherwise, nothing was allowed that the checker could refuse.
        let same = found.outcomes == case.found.outcomes && !found.cut_short;
        let refused = |history| check(&case.profile, history).counterexample().is_some();
        if !same && runs(&spec, &case.scenario, LIMIT).values().any(refused) {
            return Some((Notices::Checker, name));
        }
    }
    (!fires).then_some((Notices::NeverFires, "any"))
}

#[test]
fn every_defect_of_the_model_is_noticed() {
    let (cases, all) = (cases(), defects().collect::<Vec<_>>());
    let (left, right) = all.split_at(all.len() / 2);
    let judge = |defects: &[Defect]| -> Vec<_> {
        defects.iter().map(|&defect| (defect, noticed(&cases, defect))).collect()
    };
    let judged = std::thread::scope(|scope| {
        let other = scope.spawn(|| judge(right));
        [judge(left), other.join().unwrap()].concat()
    });
    let mut table = String::new();
    for (defect, noticed) in &judged {
        match noticed {
            Some((by, name)) => writeln!(table, "{defect}: {by:?}, in {name}").unwrap(),
            None => writeln!(table, "{defect}: SURVIVES").unwrap(),
        }
    }
    let count = |by| judged.iter().filter(|(_, n)| n.is_some_and(|(b, _)| b == by)).count();
    let survivors = judged.iter().filter(|(_, n)| n.is_none()).count();
    println!(
        "{table}\n{} defects: {} break a promise, {} are refused by the checker, {} never fire, \
         {survivors} survive",
        judged.len(),
        count(Notices::Promise),
        count(Notices::Checker),
        count(Notices::NeverFires),
    );
    assert_eq!(survivors, 0, "{table}");
    assert!(judged.len() > 250, "only {} defects", judged.len());
}

#[test]
fn the_guards_of_every_rule_are_as_reviewed() {
    let mut table = String::new();
    for rule in RuleId::all().filter(|r| r.rule().kind != Kind::Property) {
        writeln!(table, "{rule}: {}", guards(rule).join("; ")).unwrap();
    }
    insta::assert_snapshot!("guards", table);
}

/// How many states a scenario has at most in which every rule is tried.
const SMALL: usize = 60;

/// What a rule says of profiles, taken for true of every one: where its step then fires, that is
/// noticed. Where it fires nowhere, what it asks of the state leaves it out by itself.
#[test]
fn a_rule_that_is_claimed_by_everybody_is_noticed_wherever_it_fires() {
    let cases: Vec<Case> = cases().into_iter().filter(|c| c.found.states <= SMALL).collect();
    let unclaimed = |case: &&Case, rule: RuleId| !(rule.rule().claimed)(&case.profile);
    let mut noticed = 0;
    for rule in RuleId::all().filter(|r| r.rule().kind != Kind::Property) {
        let mut fired = 0;
        let mut unnoticed = Vec::new();
        for case in cases.iter().filter(|case| unclaimed(case, rule)) {
            let spec = Spec::overclaiming(case.profile, rule);
            let found = explore(&spec, &case.scenario, LIMIT);
            if !found.fired.contains(rule) {
                continue;
            }
            fired += 1;
            let differs = found.outcomes != case.found.outcomes;
            if found.broken.is_empty() && !differs {
                unnoticed.push(case.scenario.name.as_str());
            }
        }
        assert!(unnoticed.len() < fired || fired == 0, "{rule} fires unnoticed: {unnoticed:?}");
        noticed += usize::from(fired > 0);
    }
    assert!(noticed > 10, "only {noticed} rules fire where nobody claims them");
}

/// Every rule is claimed by some profiles and not by others, so that one that everybody claims, or
/// nobody, shows here.
#[test]
fn every_rule_is_claimed_by_some_and_not_by_all() {
    let priority = Profile { order: Order::Priority, ..Profile::default() };
    let unordered = Profile { order: Order::Unordered, ..Profile::default() };
    let profiles = [profiles(), vec![Profile::default(), priority, unordered]].concat();
    for rule in RuleId::all() {
        let claims = |profile: &Profile| (rule.rule().claimed)(profile);
        let marks = profiles.iter().map(|p| if claims(p) { 'x' } else { '.' });
        let marks: String = marks.collect();
        let for_all = ALL_CLAIM.iter().any(|(id, _)| *id == rule.rule().id);
        assert!(marks.contains('x'), "{rule} is claimed by no profile");
        assert_eq!(!marks.contains('.'), for_all, "{rule}: {marks}");
    }
}

/// Rules that every link claims, with the reason.
const ALL_CLAIM: &[(&str, &str)] = &[
    ("close.returns", "whoever holds an end can give it up"),
    ("delivery.nothing-invented", "no link may make messages up"),
    ("message.bytes-kept", "no link may change them"),
    ("message.size-kept", "nor their lengths"),
];
