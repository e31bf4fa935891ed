//! Makes a program that breaks a rule shorter: fewer calls, fewer processes, fewer at once. Each
//! candidate is played anew, on objects of its own, and taken if it breaks the same rule.

use ipc_model::Process;
use ipc_model::machine::{Counterexample, Machine};

use super::Programs;
use super::programs::Step;

/// A program that breaks a rule, and how.
#[derive(Clone)]
pub(super) struct Broken<M: Machine> {
    pub(super) steps: Vec<Step<M>>,
    pub(super) found: Counterexample<M>,
}

/// How often a program is played while one is made shorter.
const PLAYS: u32 = 400;
/// How often a candidate is played that makes calls at once: what comes of it may differ.
const RACES: u32 = 3;

/// The shortest program that is found to break the same rule. `play` plays a program and answers
/// what of it breaks a rule, if anything does.
///
/// # Errors
/// Why a program could not be played.
pub(super) fn shrink<M: Programs>(
    broken: Broken<M>,
    mut play: impl FnMut(&[Step<M>]) -> Result<Option<Broken<M>>, String>,
) -> Result<Broken<M>, String> {
    let mut best = broken;
    let mut plays = 0;
    loop {
        let mut shorter = None;
        for candidate in candidates(&best.steps) {
            let racy = candidate.iter().any(|step| matches!(step, Step::AtOnce(_)));
            for _ in 0..if racy { RACES } else { 1 } {
                plays += 1;
                let found = play(&candidate)?;
                shorter = found.filter(|b| {
                    b.found.rule == best.found.rule && cost(&b.steps) < cost(&best.steps)
                });
                if shorter.is_some() || plays >= PLAYS {
                    break;
                }
            }
            if shorter.is_some() || plays >= PLAYS {
                break;
            }
        }
        match shorter {
            Some(shorter) => best = shorter,
            None => return Ok(best),
        }
    }
}

/// What is made small: processes first, then calls, then what happens at once.
fn cost<M: Machine>(steps: &[Step<M>]) -> (usize, usize, usize) {
    let mut processes: Vec<Process> = steps.iter().flat_map(of).collect();
    let calls = processes.len();
    processes.sort_unstable();
    processes.dedup();
    let highest = processes.last().map_or(0, |p| usize::from(p.0) + 1);
    (processes.len() + highest, calls, calls - steps.len())
}

/// Whose step it is.
fn of<M: Machine>(step: &Step<M>) -> Vec<Process> {
    match step {
        Step::Call(process, _) | Step::Kill(process) => vec![*process],
        Step::AtOnce([(p, _), (q, _)]) => vec![*p, *q],
    }
}

/// Programs that are shorter, those first that leave most out.
fn candidates<M: Machine>(steps: &[Step<M>]) -> Vec<Vec<Step<M>>> {
    let mut candidates = Vec::new();
    let mut processes: Vec<Process> = steps.iter().flat_map(of).collect();
    processes.sort_unstable();
    processes.dedup();
    if processes.len() > 1 || processes.first().is_some_and(|p| p.0 > 0) {
        for process in &processes {
            candidates.push(without(steps, *process));
        }
        candidates.push(steps.iter().flat_map(by_one).collect());
    }
    let mut length = steps.len() / 2;
    while length > 0 {
        // From the end: what comes after the broken rule is never needed.
        for start in (0..steps.len()).step_by(length).rev() {
            let end = (start + length).min(steps.len());
            candidates.push([&steps[..start], &steps[end..]].concat());
        }
        length /= 2;
    }
    for (i, step) in steps.iter().enumerate() {
        let Step::AtOnce([first, second]) = step else { continue };
        let call = |(process, op): &(Process, M::Op)| Step::Call(*process, op.clone());
        for instead in [vec![call(first)], vec![call(second)], vec![call(first), call(second)]] {
            candidates.push([&steps[..i], &instead[..], &steps[i + 1..]].concat());
        }
    }
    candidates.retain(|candidate| cost(candidate) < cost(steps));
    candidates
}

/// The steps without those of this process.
fn without<M: Machine>(steps: &[Step<M>], gone: Process) -> Vec<Step<M>> {
    let left = |step: &Step<M>| match step {
        Step::AtOnce([(p, _), (q, second)]) if *p == gone && *q != gone => {
            Some(Step::Call(*q, second.clone()))
        }
        Step::AtOnce([(p, first), (q, _)]) if *q == gone && *p != gone => {
            Some(Step::Call(*p, first.clone()))
        }
        step => (!of(step).contains(&gone)).then(|| step.clone()),
    };
    steps.iter().filter_map(left).collect()
}

/// The step as the first process would take it, alone.
fn by_one<M: Machine>(step: &Step<M>) -> Vec<Step<M>> {
    let one = Process(0);
    match step {
        Step::Call(_, op) => vec![Step::Call(one, op.clone())],
        Step::Kill(_) => vec![Step::Kill(one)],
        Step::AtOnce([(_, first), (_, second)]) => {
            vec![Step::Call(one, first.clone()), Step::Call(one, second.clone())]
        }
    }
}
