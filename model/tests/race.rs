//! The race detector: against its definition on all small executions, against its mutants, and
//! in what it says and costs.

use std::collections::BTreeSet;

use ipc_model::Process;
use ipc_model::race::{
    Action, Execution, ExecutionError, Place, RULES, detect, detect_counting, detect_without,
    witnesses,
};

fn place(start: u64, length: u64) -> Place {
    Place { object: 0, start, length }
}

const RELEASE: Action = Action::Release { object: 0 };
const PUBLISH: Action = Action::Publish { object: 0 };
const ACQUIRE: Action = Action::Acquire { object: 0 };

fn execution(processes: u16, events: &[(u16, Action)]) -> Execution {
    let mut execution = Execution::new(processes);
    events.iter().for_each(|(p, action)| execution.push(Process(*p), *action));
    execution
}

/// The definition: every pair of accesses with a common byte, one of them a write, that the
/// transitive closure of *happens-before* does not order. `None`: no execution.
fn races(execution: &Execution) -> Option<BTreeSet<(usize, usize)>> {
    let events = &execution.events;
    let n = events.len();
    let mut before = vec![vec![false; n]; n];
    for (j, later) in events.iter().enumerate() {
        let mut received = false;
        let mut published = false;
        for i in (0..j).rev() {
            let earlier = events[i];
            let synchronises = match (earlier.action, later.action) {
                (Action::Release { object: a }, Action::Acquire { object: b }) => {
                    a == b && !published
                }
                (Action::Publish { object: a }, Action::Acquire { object: b }) => {
                    let sees = a == b && !published;
                    published |= sees;
                    sees
                }
                (Action::Fork { child }, _) if child == later.process => true,
                // The child begins and ends, even if it does nothing in between.
                (Action::Fork { child: a }, Action::Join { child: b }) if a == b => true,
                (_, Action::Join { child }) => child == earlier.process,
                (Action::Send { message: a }, Action::Receive { message: b }) => {
                    received |= a == b;
                    a == b
                }
                (Action::Send { message: a }, Action::Send { message: b }) if a == b => {
                    return None;
                }
                _ => false,
            };
            if matches!(later.action, Action::Fork { child } if child == earlier.process)
                || matches!(earlier.action, Action::Join { child } if child == later.process)
            {
                return None;
            }
            before[i][j] = earlier.process == later.process || synchronises;
        }
        let own_child = matches!(later.action, Action::Fork { child } if child == later.process);
        if own_child || (matches!(later.action, Action::Receive { .. }) && !received) {
            return None;
        }
    }
    for k in 0..n {
        for i in 0..k {
            for j in k + 1..n {
                before[i][j] |= before[i][k] && before[k][j];
            }
        }
    }
    let mut races = BTreeSet::new();
    for j in 0..n {
        for i in 0..j {
            let common = match (events[i].action, events[j].action) {
                (Action::Write(a), Action::Write(b) | Action::Read(b)) => a.common(&b),
                (Action::Read(a), Action::Write(b)) => a.common(&b),
                _ => None,
            };
            if common.is_some() && !before[i][j] {
                races.insert((i, j));
            }
        }
    }
    Some(races)
}

/// What came of comparing all executions of `length` events over an alphabet.
#[derive(Debug, Default)]
struct Compared {
    executions: usize,
    racing: usize,
    refused: usize,
}

fn compare(processes: u16, alphabet: &[(u16, Action)], length: u32) -> Compared {
    let mut compared = Compared::default();
    let total = alphabet.len().pow(length);
    for mut number in 0..total {
        let mut all = execution(processes, &[]);
        for _ in 0..length {
            let (process, action) = alphabet[number % alphabet.len()];
            all.push(Process(process), action);
            number /= alphabet.len();
        }
        let (found, meant) = (detect(&all), races(&all));
        compared.executions += 1;
        let Some(meant) = meant else {
            assert!(
                found.is_err() || found.as_ref().is_ok_and(Option::is_some),
                "not an execution: {all:#?}"
            );
            compared.refused += 1;
            continue;
        };
        match found.unwrap() {
            None => assert_eq!(meant, BTreeSet::new(), "{all:#?}"),
            Some(race) => {
                let pair = (race.first, race.second);
                assert!(meant.contains(&pair), "{pair:?} of {meant:?} in {all:#?}");
                let earliest = meant.iter().map(|(_, second)| *second).min();
                assert_eq!(Some(race.second), earliest, "{all:#?}");
                compared.racing += 1;
            }
        }
    }
    compared
}

#[test]
fn the_detector_agrees_with_the_definition_on_all_small_executions() {
    let both = |actions: &[Action]| -> Vec<(u16, Action)> {
        [0, 1].into_iter().flat_map(|p| actions.iter().map(move |a| (p, *a))).collect()
    };
    let (read, write) = (Action::Read(place(0, 1)), Action::Write(place(0, 1)));
    let locks = compare(2, &both(&[read, write, RELEASE, ACQUIRE]), 6);
    let stores = compare(2, &both(&[write, RELEASE, PUBLISH, ACQUIRE]), 6);
    let third: Vec<(u16, Action)> =
        [0, 1, 2].into_iter().flat_map(|p| [write, PUBLISH, ACQUIRE].map(|a| (p, a))).collect();
    let three = compare(3, &third, 5);
    let ranges = compare(
        2,
        &both(&[
            Action::Read(place(0, 2)),
            Action::Read(place(1, 2)),
            Action::Write(place(1, 1)),
            Action::Write(place(0, 3)),
            RELEASE,
            ACQUIRE,
        ]),
        4,
    );
    let others = compare(
        3,
        &[
            (0, write),
            (1, write),
            (2, write),
            (2, read),
            (0, Action::Fork { child: Process(2) }),
            (1, Action::Join { child: Process(2) }),
            (0, Action::Send { message: 0 }),
            (1, Action::Send { message: 1 }),
            (1, Action::Receive { message: 0 }),
            (2, Action::Receive { message: 1 }),
        ],
        5,
    );
    insta::assert_snapshot!(
        "race_compared",
        format!(
            "locks: {locks:?}\nstores: {stores:?}\nthree processes: {three:?}\n\
             ranges: {ranges:?}\nfork, join and messages: {others:?}"
        )
    );
}

#[test]
fn every_rule_has_a_mutant_that_is_killed() {
    let witnesses = witnesses();
    for rule in RULES {
        let (_, witness) = witnesses
            .iter()
            .find(|(id, _)| *id == rule.id)
            .unwrap_or_else(|| panic!("no witness for {}", rule.id));
        let meant = detect(witness).unwrap().is_some();
        let broken = detect_without(witness, rule.id).unwrap().is_some();
        assert_ne!(meant, broken, "{} makes no difference", rule.id);
    }
    assert_eq!(witnesses.len(), RULES.len());
}

#[test]
fn a_race_is_told_with_what_would_have_ordered_it() {
    let (read, write) = (Action::Read(place(4, 8)), Action::Write(place(0, 8)));
    let told = |events: &[(u16, Action)]| {
        let all = execution(3, events);
        detect(&all).unwrap().map_or("no race".into(), |race| race.told(&all))
    };
    let texts = [
        told(&[(0, write), (1, read)]),
        told(&[(0, write), (0, RELEASE), (1, read)]),
        told(&[(1, ACQUIRE), (0, write), (0, RELEASE), (1, read)]),
        told(&[(0, read), (0, Action::Send { message: 3 }), (1, write)]),
        told(&[(0, write), (0, PUBLISH), (2, PUBLISH), (1, ACQUIRE), (1, read)]),
        told(&[(0, write), (0, RELEASE), (1, ACQUIRE), (1, read)]),
        told(&[(0, Action::Write(place(0, 4))), (1, Action::Write(place(4, 4)))]),
    ];
    insta::assert_snapshot!("race_told", texts.join("\n\n"));
}

#[test]
fn an_execution_that_cannot_be_is_refused() {
    let refused = |events: &[(u16, Action)]| detect(&execution(2, events)).unwrap_err();
    let (write, late) = (Action::Write(place(0, 1)), Process(1));
    let p1 = Process(1);
    assert_eq!(
        refused(&[(2, write)]),
        ExecutionError::NoSuchProcess { event: 0, process: Process(2), processes: 2 }
    );
    assert_eq!(
        refused(&[(0, Action::Receive { message: 7 })]),
        ExecutionError::NeverSent { event: 0, message: 7 }
    );
    let send = (0, Action::Send { message: 7 });
    assert_eq!(refused(&[send, send]), ExecutionError::SentTwice { event: 1, message: 7 });
    assert_eq!(
        refused(&[(1, write), (0, Action::Fork { child: late })]),
        ExecutionError::StartedLate { event: 1, child: p1 }
    );
    assert_eq!(
        refused(&[(0, Action::Join { child: p1 }), (1, write)]),
        ExecutionError::AfterEnd { event: 1, process: p1 }
    );
}

/// A ring of 64 slots of 16 bytes, filled and emptied under a lock; now and then somebody reads
/// the whole of it.
fn ring(rounds: u64) -> Execution {
    let mut all = Execution::new(4);
    for round in 0..rounds {
        let process = Process((round % 4) as u16);
        all.push(process, ACQUIRE);
        let slot = place(round % 64 * 16, 16);
        all.push(process, if round % 2 == 0 { Action::Write(slot) } else { Action::Read(slot) });
        if round % 64 == 0 {
            all.push(process, Action::Read(place(0, 64 * 16)));
        }
        all.push(process, RELEASE);
    }
    all
}

#[test]
fn the_work_grows_with_the_execution_and_not_with_its_square() {
    let compared = |rounds| {
        let found = detect_counting(&ring(rounds)).unwrap();
        assert_eq!(found.race, None);
        found.compared
    };
    let (short, long) = (compared(2_000), compared(200_000));
    assert!(long <= 110 * short, "{short} comparisons for 2000 rounds, {long} for 200000");
}

#[test]
fn an_execution_is_data() {
    let all = ring(3);
    let text = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Execution>(&text).unwrap(), all);
    let event = serde_json::to_string(&all.events[1]).unwrap();
    assert_eq!(event, r#"{"process":0,"action":{"write":{"object":0,"start":0,"length":16}}}"#);
}
