//! The runs behind the outcomes: for each way to end, the shortest run that ends so, as a history.

use std::collections::BTreeMap;

use super::{Label, Limit, Node, Outcome, Space, Visit, walk};
use crate::history::{History, Operation};
use crate::op::{Op, Process, Ret};
use crate::scenario::{Scenario, Step};
use crate::spec::Spec;
use crate::state::Call;

/// What an observer sees of one transition.
#[derive(Clone, Copy)]
enum Seen {
    Nothing,
    Call(Process, Op),
    Return(Process, Ret),
    Expire(Process),
    Asleep(Process),
    Kill(Process),
    Death(Process),
}

/// How a node was reached first: from which, and what was seen.
struct Reached {
    from: usize,
    seen: Seen,
    outcome: Outcome,
    leads_on: bool,
}

/// For every way in which the scenario may end, the shortest run that ends so: what an observer
/// would have recorded, one moment a transition.
pub fn runs(spec: &Spec, scenario: &Scenario, limit: Limit) -> BTreeMap<Outcome, History> {
    let mut reached: Vec<Reached> = Vec::new();
    let space = Space::new(spec, scenario, limit.reduced);
    walk(&space, limit, |step| {
        let Visit::Edge(from, label, to) = step else { return };
        if reached.is_empty() {
            let outcome = space.outcome(from.1);
            reached.push(Reached { from: 0, seen: Seen::Nothing, outcome, leads_on: true });
        }
        reached[from.0].leads_on = true;
        if to.0 == reached.len() {
            let seen = seen(scenario, from.1, label, to.1);
            let outcome = space.outcome(to.1);
            reached.push(Reached { from: from.0, seen, outcome, leads_on: false });
        }
    });
    let mut runs = BTreeMap::new();
    for (number, end) in reached.iter().enumerate().filter(|(_, r)| !r.leads_on) {
        let run = || history(&reached, number, scenario);
        runs.entry(end.outcome.clone()).or_insert_with(run);
    }
    runs
}

fn seen(scenario: &Scenario, from: &Node, label: Label, to: &Node) -> Seen {
    match label {
        Label::Call(p) | Label::Go(p) => {
            let place = from.next[p.0 as usize] as usize;
            match scenario.processes[p.0 as usize].0[place] {
                Step::Call(op) => Seen::Call(p, op),
                Step::AwaitBlocked { process, .. }
                    if matches!(from.state.call(process), Call::Pending { blocked: true, .. }) =>
                {
                    Seen::Asleep(process)
                }
                _ => Seen::Nothing,
            }
        }
        Label::Return(p, ret) => Seen::Return(p, ret),
        Label::Time(p) => Seen::Expire(p),
        Label::Kill(p) => Seen::Kill(p),
        Label::Step(p, _) => {
            let died = *from.state.call(p) != Call::Dead && *to.state.call(p) == Call::Dead;
            if died { Seen::Death(p) } else { Seen::Nothing }
        }
    }
}

fn history(reached: &[Reached], end: usize, scenario: &Scenario) -> History {
    let mut path = vec![];
    let mut number = end;
    while number != 0 {
        path.push(reached[number].seen);
        number = reached[number].from;
    }
    let mut history =
        History { links: scenario.links.clone(), quiescent: true, ..History::default() };
    for (time, seen) in (1..).zip(path.into_iter().rev()) {
        let pending = |p| move |o: &&mut Operation| o.process == p && o.ret.is_none();
        match seen {
            Seen::Nothing => {}
            Seen::Call(process, op) => history.operations.push(Operation {
                process,
                op,
                call: time,
                ret: None,
                timeout: None,
                blocked: None,
            }),
            Seen::Return(p, ret) => {
                if let Some(operation) = history.operations.iter_mut().find(pending(p)) {
                    operation.ret = Some((time, ret));
                }
            }
            Seen::Expire(p) => {
                if let Some(operation) = history.operations.iter_mut().find(pending(p)) {
                    operation.timeout = Some(time - operation.call);
                }
            }
            Seen::Asleep(p) => {
                if let Some(operation) = history.operations.iter_mut().find(pending(p)) {
                    operation.blocked = Some(time);
                }
            }
            Seen::Kill(p) => history.kills.push((time, p)),
            Seen::Death(p) => history.crashes.push((time, p)),
        }
    }
    history
}
