//! What the tests of every machine share: the mutants of its rules against its scenarios, all
//! small programs over an alphabet of calls, and the check against a search by brute force.
#![allow(dead_code, reason = "each test file uses its part of this module")]

use std::collections::{BTreeMap, BTreeSet};

use ipc_model::machine::{
    Call, Explored, History, Machine, Operation, Outcome, Patience, Scenario, Script, Spec, System,
    User, check, explore, mutations,
};
use ipc_model::{Kind, Process};

/// A scenario of processes of one user, of which nobody is killed.
pub(crate) fn scenario<M: Machine>(
    name: &'static str,
    machine: M,
    users: &[u16],
    prelude: &[(u16, M::Op)],
    scripts: &[&[M::Op]],
) -> Scenario<M> {
    let script = |(user, calls): (&u16, &&[M::Op])| Script {
        user: User(*user),
        calls: calls.to_vec(),
        mortal: false,
    };
    assert_eq!(users.len(), scripts.len(), "{name}: a user for each script");
    let scripts = users.iter().zip(scripts).map(script).collect();
    Scenario { name, machine, scripts, prelude: prelude.to_vec() }
}

/// Every behaviour of the scenario under the rules as they are meant.
pub(crate) fn behaviours<M: Machine>(scenario: &Scenario<M>) -> Explored<M> {
    explore(&Spec::new(scenario.machine), scenario, |_| Ok(()))
}

/// What became of the mutants: how many there are, how many scenarios kill each, and who is left.
pub(crate) struct Killed {
    pub(crate) mutants: usize,
    pub(crate) by: BTreeMap<&'static str, usize>,
    pub(crate) survivors: BTreeSet<(&'static str, String)>,
}

/// The table of what became of them. `reasons` say why a rule's mutant cannot be told from the rule as
/// it is meant; whoever survives has one, and nobody else has.
pub(crate) fn table_of_mutants(killed: &Killed, reasons: &[(&str, &str, &str)]) -> String {
    let mut text = format!("{} mutants\n", killed.mutants);
    for (scenario, mutants) in &killed.by {
        text += &format!("{mutants:4} killed first by: {scenario}\n");
    }
    for (rule, part) in &killed.survivors {
        let reason = reasons.iter().find(|(r, p, _)| r == rule && p == part).map(|s| s.2);
        text += &format!("survives: {rule}, {part}: {}\n", reason.unwrap_or("NO REASON"));
    }
    assert!(!text.contains("NO REASON"), "{text}");
    for (rule, part, _) in reasons {
        let survives = killed.survivors.iter().any(|(r, p)| r == rule && p == part);
        assert!(survives, "{rule}, {part} is killed by now: take its reason out");
    }
    text
}

/// Explores every scenario under every mutant. A mutant is killed by a scenario whose set of
/// outcomes it changes, or in which it leaves a call without an answer or gives it answers that
/// exclude one another.
pub(crate) fn kill_mutants<M: Machine>(scenarios: &[Scenario<M>]) -> Killed {
    let meant: Vec<Explored<M>> = scenarios.iter().map(behaviours).collect();
    let mut killed = Killed { mutants: 0, by: BTreeMap::new(), survivors: BTreeSet::new() };
    for mutation in mutations::<M>() {
        killed.mutants += 1;
        let killer = scenarios.iter().zip(&meant).find(|(scenario, meant)| {
            let mutant = Spec::mutated(scenario.machine, mutation);
            let found = explore(&mutant, scenario, |_| Ok(()));
            found.outcomes != meant.outcomes || found.objections != meant.objections
        });
        match killer {
            Some((scenario, _)) => *killed.by.entry(scenario.name).or_default() += 1,
            None => {
                let id = M::rules()[mutation.rule].id;
                killed.survivors.insert((id, mutation.part.to_string()));
            }
        }
    }
    killed
}

/// Every program of two processes, of these users, with at most `calls` calls each out of the
/// alphabet, after the prelude.
pub(crate) fn programs<M: Machine>(
    machine: M,
    users: [u16; 2],
    prelude: &[(u16, M::Op)],
    alphabet: [&[M::Op]; 2],
    calls: usize,
) -> Vec<Scenario<M>> {
    let scripts = |alphabet: &[M::Op]| {
        let mut all: Vec<Vec<M::Op>> = vec![vec![]];
        let mut last = all.clone();
        for _ in 0..calls {
            let longer = last.iter().flat_map(|script| {
                alphabet.iter().map(|op| [script.as_slice(), std::slice::from_ref(op)].concat())
            });
            last = longer.collect();
            all.extend(last.clone());
        }
        all
    };
    let (left, right) = (scripts(alphabet[0]), scripts(alphabet[1]));
    let pair = |l: &Vec<M::Op>, r: &Vec<M::Op>| {
        scenario("program", machine, &users, prelude, &[l.as_slice(), r.as_slice()])
    };
    left.iter().flat_map(|l| right.iter().map(move |r| pair(l, r))).collect()
}

/// Every rule that is a step, and that none of `fired` names.
pub(crate) fn never_fired<M: Machine>(fired: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let steps = |kind| !matches!(kind, Kind::Property | Kind::Internal);
    let rules = M::rules().iter().filter(|r| steps(r.kind));
    rules.map(|r| r.id).filter(|id| !fired.contains(id)).collect()
}

/// One line a scenario: what can be reached, and how it may end.
pub(crate) fn picture<M: Machine>(scenarios: &[Scenario<M>], longest: usize) -> String {
    let mut text = String::new();
    for scenario in scenarios {
        let found = behaviours(scenario);
        let (states, ends) = (found.states, found.outcomes.len());
        text += &format!("{}: {states} states, {ends} outcomes\n", scenario.name);
        for outcome in found.outcomes.iter().take(longest) {
            text += &format!("    {outcome}\n");
        }
        if ends > longest {
            text += &format!("    … and {} more\n", ends - longest);
        }
        for objection in &found.objections {
            text += &format!("    OBJECTION: {objection}\n");
        }
    }
    text
}

/// Compares [`check`] with the definition of linearisability on histories of the scenario: every
/// way in which the calls of two processes may overlap, with every answer that any run of the
/// scenario gives to each call. Returns how many histories were compared, and how many of them
/// are legal.
pub(crate) fn compare_with_brute_force<M: Machine>(scenario: &Scenario<M>) -> (usize, usize) {
    let found = behaviours(scenario);
    let spec = Spec::new(scenario.machine);
    let users: Vec<User> = scenario.scripts.iter().map(|s| s.user).collect();
    let [left, right] = scenario.scripts.as_slice() else { panic!("two processes") };
    // The answers of the prelude come first in what a process is told.
    let before = |p: usize| scenario.prelude.iter().filter(|(q, _)| *q as usize == p).count();
    let answers = |p: usize, call: usize| -> BTreeSet<M::Ret> {
        found
            .outcomes
            .iter()
            .map(|o: &Outcome<M::Ret>| o.told[p][before(p) + call].clone())
            .collect()
    };
    let calls: Vec<Answered<M>> = [left, right]
        .iter()
        .enumerate()
        .flat_map(|(p, script)| {
            let call = move |(i, op): (usize, &M::Op)| (p, i, op.clone());
            script.calls.iter().enumerate().map(call).collect::<Vec<_>>()
        })
        .map(|(p, i, op)| (p as u16, op, answers(p, i)))
        .collect();
    let (mut compared, mut legal) = (0, 0);
    for told in product::<M>(&calls) {
        for times in overlaps(left.calls.len(), right.calls.len()) {
            let mut operations = prelude(&spec, scenario, &users);
            let called = calls.iter().zip(&told).zip(&times);
            operations.extend(called.map(|(((p, op, _), ret), (call, returned))| Operation {
                process: Process(*p),
                op: op.clone(),
                call: 1000 + call,
                ret: Some((1000 + returned, ret.clone())),
                system_calls: None,
            }));
            let history = History {
                profile: scenario.machine,
                users: users.clone(),
                operations,
                crashes: vec![],
            };
            let verdict = check(&history);
            let brute = linearisable(&spec, spec.initial(&users), &history, &mut BTreeSet::new());
            assert_eq!(verdict.passed(), brute, "{verdict:?}\n{history:#?}");
            compared += 1;
            legal += usize::from(brute);
        }
    }
    assert!(compared > 0, "nothing was compared");
    (compared, legal)
}

/// Who calls what, and every answer that it may get.
type Answered<M> = (u16, <M as Machine>::Op, BTreeSet<<M as Machine>::Ret>);

/// The prelude's calls, with the answers that they get one after another.
fn prelude<M: Machine>(
    spec: &Spec<M>,
    scenario: &Scenario<M>,
    users: &[User],
) -> Vec<Operation<M>> {
    let mut system = spec.initial(users);
    let mut operations = Vec::new();
    for (i, (process, op)) in scenario.prelude.iter().enumerate() {
        let process = Process(*process);
        let (ret, next) = answers(spec, &system, process, op).swap_remove(0);
        let times = (2 * i as u64, 2 * i as u64 + 1);
        let ret = Some((times.1, ret));
        let op = op.clone();
        operations.push(Operation { process, op, call: times.0, ret, system_calls: None });
        system = next;
    }
    operations
}

/// Every answer to a call that nothing interrupts, with the state it leads to.
fn answers<M: Machine>(
    spec: &Spec<M>,
    system: &System<M>,
    process: Process,
    op: &M::Op,
) -> Vec<(M::Ret, System<M>)> {
    let mut pending = vec![spec.call(system, process, op.clone())];
    let mut answers = Vec::new();
    while let Some(system) = pending.pop() {
        for (_, next) in spec.steps(&system, process, Patience::ALL) {
            match next.call(process) {
                Call::Returning(ret) => answers.push((ret.clone(), spec.ret(&next, process))),
                _ => pending.push(next),
            }
        }
    }
    answers
}

/// The definition: some order of whole calls, in which no call comes before one that had returned
/// before it began, gives every call its answer.
fn linearisable<M: Machine>(
    spec: &Spec<M>,
    system: System<M>,
    history: &History<M>,
    done: &mut BTreeSet<usize>,
) -> bool {
    let operations = &history.operations;
    let left: Vec<usize> = (0..operations.len()).filter(|i| !done.contains(i)).collect();
    let returned = |i: &usize| operations[*i].ret.as_ref().map_or(u64::MAX, |(t, _)| *t);
    let Some(first_return) = left.iter().map(returned).min() else { return true };
    for i in left.into_iter().filter(|i| operations[*i].call <= first_return) {
        let o = &operations[i];
        let seen = &o.ret.as_ref().expect("complete").1;
        for (ret, next) in answers(spec, &system, o.process, &o.op) {
            if M::explains(&ret, seen) {
                done.insert(i);
                if linearisable(spec, next, history, done) {
                    return true;
                }
                done.remove(&i);
            }
        }
    }
    false
}

fn product<M: Machine>(calls: &[Answered<M>]) -> Vec<Vec<M::Ret>> {
    calls.iter().fold(vec![vec![]], |all, (.., answers)| {
        let longer = |told: &Vec<M::Ret>| {
            let told = told.clone();
            answers.iter().map(move |a| [told.as_slice(), std::slice::from_ref(a)].concat())
        };
        all.iter().flat_map(longer).collect()
    })
}

/// Every order of the calls and returns of two processes, as the time of each call's beginning
/// and end: first those of the one process, then those of the other.
fn overlaps(left: usize, right: usize) -> Vec<Vec<(u64, u64)>> {
    let total = 2 * (left + right);
    let orders = (0u32..1 << total).filter(|mask| mask.count_ones() as usize == 2 * left);
    let times = |mask: u32| {
        let of = |side: bool| -> Vec<(u64, u64)> {
            let mine: Vec<u64> =
                (0..total as u64).filter(|t| (mask >> t & 1 == 1) == side).collect();
            mine.chunks(2).map(|pair| (pair[0], pair[1])).collect()
        };
        [of(true), of(false)].concat()
    };
    orders.map(times).collect()
}
