//! Larger random histories, legal and broken: monitors against the search, and the verdicts that
//! people get.

use ipc_model::check::monitor::{Finding, monitor};
use ipc_model::check::{Budget, Observed, PushError, check_by_search, explains};
use ipc_model::{Capacity, Checker, History, Process, Profile, Ret, Shape, Spec, Verdict, check};
use ipc_model::{Op, Operation, write_jsonl};

use crate::generate::{Dice, Recipe, legal, swap_receives};

fn profile(room: Option<usize>) -> Profile {
    Profile::mailbox(match room {
        None => Capacity::Unbounded,
        Some(0) => Capacity::Zero,
        Some(n) => Capacity::Bounded(n as u32),
    })
}

const ROOMS: [Option<usize>; 5] = [None, Some(0), Some(1), Some(2), Some(3)];

/// Changes what some calls were told, or leaves some calls out: often, but not always, wrong.
fn disturb(history: &mut History, dice: &mut Dice) {
    for _ in 0..=dice.below(2) {
        let place = dice.below(history.operations.len());
        match dice.below(4) {
            0 => swap_receives(history, place),
            1 => drop(history.operations.remove(place)),
            2 => {
                // A return recorded earlier than it can have been, but after its call.
                let o = &mut history.operations[place];
                if let Some((time, _)) = &mut o.ret {
                    *time = o.call + (*time - o.call) / 2;
                }
            }
            _ => {
                let told = history.operations[place].ret.map(|(_, r)| r);
                let other = dice.below(history.operations.len());
                let o = &mut history.operations[other];
                if let (Some((_, ret @ Ret::Refused(_))), Some(told @ Ret::Refused(_))) =
                    (&mut o.ret, told)
                {
                    *ret = told;
                }
            }
        }
    }
}

#[test]
fn random_histories_are_judged_as_the_search_judges_them() {
    let rounds = if crate::more() > 0 { 20_000 } else { 400 };
    let (mut compared, mut broken, mut gave_up) = (0, 0, 0);
    for seed in 0..rounds {
        let mut dice = Dice(seed);
        let room = ROOMS[dice.below(ROOMS.len())];
        let senders = dice.below(3);
        let receivers = if senders == 0 { 2 + dice.below(2) } else { 1 + dice.below(2) };
        let calls = 8 + dice.below(24);
        let (hasty, killed) = (25 * dice.below(3), dice.below(2));
        let recipe = Recipe { senders, receivers, calls, room, hasty, killed };
        let mut history = legal(recipe, seed);
        let profile = profile(room);
        let found = monitor(&profile, &history, Budget::default());
        let show = |history: &History| write_jsonl(Some(&profile), history);
        assert_eq!(found, Finding::Legal, "seed {seed}\n{}", show(&history));
        disturb(&mut history, &mut dice);
        let found = monitor(&profile, &history, Budget::default());
        let model = explains(&Spec::new(profile), &history, Budget { states: 20_000 });
        match (&found, model) {
            (Finding::Unsure(_), _) | (_, None) => gave_up += 1,
            (found, Some(legal)) => {
                compared += 1;
                broken += u64::from(!legal);
                let same = (*found == Finding::Legal) == legal;
                assert!(same, "seed {seed}: {found:?}\n{}", show(&history));
            }
        }
    }
    println!("{compared} random histories compared, {broken} of them broken, {gave_up} given up");
    assert!(broken * 10 > compared && gave_up * 5 < rounds);
}

#[test]
fn a_violation_deep_in_a_long_history_is_cut_out() {
    for room in [None, Some(0), Some(1), Some(4)] {
        let recipe = Recipe { senders: 3, receivers: 2, calls: 20_000, room, hasty: 0, killed: 0 };
        let mut history = legal(recipe, 7);
        let profile = profile(room);
        assert!(check(&profile, &history).passed(), "room {room:?}");
        // One exchange may be legal, where the sends overlapped; so many are not.
        (0..20).for_each(|i| swap_receives(&mut history, 18_000 + 10 * i));
        let verdict = check(&profile, &history);
        let found = verdict.counterexample().unwrap_or_else(|| panic!("{room:?}: {verdict:?}"));
        let size = found.history.operations.len();
        assert!(size <= 8, "room {room:?}: {size} calls are left of {}", 20_000);
        let again = check_by_search(&Spec::new(profile), &found.history, Budget::default());
        assert!(matches!(again, Verdict::Fail(_)), "room {room:?}: the cut passes: {again:?}");
        println!("room {room:?}: {found}\n  {}", found.pattern.as_ref().unwrap());
    }
}

#[test]
fn an_empty_deep_in_a_long_history_names_what_was_inside() {
    let recipe =
        Recipe { senders: 2, receivers: 2, calls: 10_000, room: None, hasty: 50, killed: 1 };
    let mut history = legal(recipe, 3);
    let profile = Profile::default();
    // A message that nobody took: from here on no `empty` is right.
    let received = |o: &Operation| matches!(o.ret, Some((_, Ret::Received(_))));
    let last = (0..9_000).rev().find(|&i| received(&history.operations[i])).unwrap();
    history.operations.remove(last);
    let verdict = check(&profile, &history);
    let found = verdict.counterexample().unwrap();
    let pattern = found.pattern.as_ref().unwrap();
    assert!(matches!(pattern.shape, Shape::NotEmpty | Shape::Overtaking), "{pattern}");
    assert!(found.history.operations.len() <= 4);
    println!("{pattern}");
}

/// Every event of a history, in the order of time.
fn observed(history: &History) -> Vec<(u64, Observed)> {
    let mut events = Vec::new();
    for o in &history.operations {
        events.push((o.call, Observed::Call(o.process, o.op, o.timeout)));
        if let Some((time, ret)) = o.ret {
            events.push((time, Observed::Return(o.process, ret)));
        }
    }
    events.extend(history.crashes.iter().map(|&(t, p)| (t, Observed::Killed(p))));
    events.sort_by_key(|e| e.0);
    events
}

#[test]
fn pushing_events_fails_at_the_first_wrong_one() {
    for room in ROOMS {
        let recipe = Recipe { senders: 2, receivers: 1, calls: 60, room, hasty: 30, killed: 0 };
        let mut history = legal(recipe, 11);
        let spec = Spec::new(profile(room));
        let push_all = |history: &History| {
            let mut checker = Checker::new(&spec, 8, &[], Budget::default());
            for (i, (time, event)) in observed(history).into_iter().enumerate() {
                match checker.push(time, event) {
                    Ok(()) => {}
                    Err(PushError::Violation(found)) => return Some((i, time, found)),
                    Err(malformed) => panic!("{malformed}"),
                }
            }
            assert!(checker.verdict().passed());
            None
        };
        assert_eq!(push_all(&history), None, "room {room:?}");
        swap_receives(&mut history, 30);
        let verdict = check(&profile(room), &history);
        let pushed = push_all(&history);
        assert_eq!(pushed.is_some(), verdict.counterexample().is_some(), "room {room:?}");
        if let Some((_, time, _)) = pushed {
            let found = history.until(time);
            assert!(!check(&profile(room), &found).passed());
            assert!(check(&profile(room), &history.until(time - 1)).passed());
        }
    }
}

#[test]
fn events_that_cannot_be_are_refused() {
    let spec = Spec::new(Profile::default());
    let mut checker = Checker::new(&spec, 2, &[], Budget::default());
    let receive = Op::Receive { link: 0, from: None, mode: ipc_model::Mode::Blocking };
    checker.push(5, Observed::Call(Process(0), receive, None)).unwrap();
    for (time, event) in [
        (4, Observed::Killed(Process(1))),
        (6, Observed::Call(Process(0), receive, None)),
        (6, Observed::Return(Process(1), Ret::Done)),
        (6, Observed::Blocked(Process(1))),
        (6, Observed::Killed(Process(2))),
    ] {
        let refused = checker.push(time, event);
        assert!(matches!(refused, Err(PushError::Malformed(_))), "{event:?}: {refused:?}");
    }
    assert!(checker.verdict().passed());
}
