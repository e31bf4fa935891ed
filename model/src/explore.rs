//! Every behaviour of a small scenario: all states, all outcomes, and whether the model keeps its
//! own promises in each of them.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

mod graph;
mod promises;
mod runs;

pub use graph::dot;
pub use promises::PROMISES;
pub use runs::runs;

use crate::op::{Mode, Process, Ret};
use crate::profile::Capacity;
use crate::rule::{RuleId, RuleSet};
use crate::scenario::{Scenario, Step};
use crate::spec::Spec;
use crate::state::{Call, State};

/// How far an exploration goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// States at most; an exploration that reaches it says so.
    pub states: usize,
    /// Whether to leave out interleavings that cannot make a difference: a process's return, a
    /// call on a link that buffers, and a wait that is over commute with everything the others
    /// do, so they are taken at once. The tests show that it loses no outcome.
    pub reduced: bool,
}

impl Default for Limit {
    fn default() -> Self {
        Self { states: 1_000_000, reduced: true }
    }
}

/// How a run of the scenario may end, as an observer sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    /// What each process was told, call by call.
    pub told: Vec<Vec<Ret>>,
    /// Who is left in a call that never returns.
    pub blocked: Vec<Process>,
}

/// Prints `P0 ok ok | P1 0:0 …blocked`.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (p, told) in self.told.iter().enumerate() {
            let process = Process(p as u16);
            write!(f, "{}{process}", if p == 0 { "" } else { " | " })?;
            for ret in told {
                write!(f, " {ret}")?;
            }
            if self.blocked.contains(&process) {
                write!(f, " …blocked")?;
            }
        }
        Ok(())
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exploration {
    /// Distinct states.
    pub states: usize,
    /// Transitions between them.
    pub transitions: usize,
    /// All ways to end.
    pub outcomes: BTreeSet<Outcome>,
    /// The rules that fired anywhere.
    pub fired: RuleSet,
    /// Pairs of rules of which the second fired in a state that the first led to.
    pub pairs: BTreeSet<(RuleId, RuleId)>,
    /// Invariants that a state breaks, with the outcome so far; empty for a sound model.
    pub broken: BTreeSet<String>,
    /// Whether the limit kept it from seeing everything.
    pub cut_short: bool,
}

/// A state of the scenario: where the system is, and how far each script has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    state: State,
    /// The next step of each script.
    next: Vec<u16>,
    /// What each process has been told so far.
    told: Vec<Vec<Ret>>,
}

/// What leads from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Step(Process, RuleId),
    Call(Process),
    Return(Process, Ret),
    Time(Process),
    Go(Process),
    Kill(Process),
}

/// Explores the scenario breadth first.
pub fn explore(spec: &Spec, scenario: &Scenario, limit: Limit) -> Exploration {
    Explorer { spec, scenario, limit }.explore(|_, _, _| {})
}

struct Explorer<'a> {
    spec: &'a Spec,
    scenario: &'a Scenario,
    limit: Limit,
}

impl Explorer<'_> {
    fn explore(&self, mut visit: impl FnMut((usize, &Node), Label, (usize, &Node))) -> Exploration {
        let width = self.scenario.width();
        let start = Node {
            state: State::new(width, &self.scenario.links),
            next: vec![0; width],
            told: vec![Vec::new(); width],
        };
        let mut found = Exploration::default();
        // The rules by which each node was reached, for the pairs.
        let mut index: FxHashMap<Node, usize> = FxHashMap::default();
        let mut by: Vec<RuleSet> = vec![RuleSet::default()];
        index.insert(start.clone(), 0);
        let mut queue = std::collections::VecDeque::from([(0, start)]);
        while let Some((number, node)) = queue.pop_front() {
            self.hold_to(&node, &mut found.broken);
            let successors = self.successors(&node);
            if successors.is_empty() {
                found.outcomes.insert(outcome(&node));
            }
            for (label, next) in successors {
                found.transitions += 1;
                let mut arrived = by[number];
                if let Label::Step(_, rule) = label {
                    found.fired.insert(rule);
                    found.pairs.extend(by[number].iter().map(|before| (before, rule)));
                    arrived = [rule].into_iter().collect();
                }
                let known = index.len();
                let target = *index.entry(next.clone()).or_insert(known);
                visit((number, &node), label, (target, &next));
                if target < known {
                    by[target] = by[target].or(arrived);
                } else if known >= self.limit.states {
                    found.cut_short = true;
                    found.states = known;
                    return found;
                } else {
                    by.push(arrived);
                    queue.push_back((target, next));
                }
            }
        }
        found.states = index.len();
        found
    }

    fn successors(&self, node: &Node) -> Vec<(Label, Node)> {
        let mut successors = Vec::new();
        for p in (0..self.scenario.width() as u16).map(Process) {
            if let Some((label, next, commutes)) = self.own(node, p) {
                if commutes && self.limit.reduced {
                    return vec![(label, next)];
                }
                successors.push((label, next));
            }
            for (rule, state) in self.spec.steps(&node.state, p) {
                successors.push((Label::Step(p, rule), Node { state, ..node.clone() }));
            }
            if let Call::Pending { op, expired: false, .. } = node.state.call(p)
                && op.mode() == Mode::Timed
            {
                let state = self.spec.expire(&node.state, p);
                successors.push((Label::Time(p), Node { state, ..node.clone() }));
            }
        }
        successors
    }

    /// What the process does by itself next, and whether that commutes with all that others do.
    fn own(&self, node: &Node, p: Process) -> Option<(Label, Node, bool)> {
        let i = p.0 as usize;
        if let Call::Returning(ret) = *node.state.call(p) {
            let mut next = node.clone();
            next.state = self.spec.ret(&node.state, p, ret)?;
            next.told[i].push(ret);
            return Some((Label::Return(p, ret), next, true));
        }
        if *node.state.call(p) != Call::Running {
            return None;
        }
        let step = self.scenario.processes[i].0.get(node.next[i] as usize)?;
        let mut next = node.clone();
        next.next[i] += 1;
        match *step {
            Step::Call(op) => {
                next.state = self.spec.call(&node.state, p, op);
                let buffered = self.spec.profile.capacity != Capacity::Zero;
                Some((Label::Call(p), next, buffered))
            }
            Step::AwaitBlocked { process, call } => {
                let returned = node.told[process.0 as usize].len() as u32;
                let asleep =
                    matches!(node.state.call(process), Call::Pending { blocked: true, .. })
                        && (call == returned || call == Step::ANY_CALL);
                let past = call != Step::ANY_CALL && returned > call;
                let over =
                    past || *node.state.call(process) == Call::Dead || self.done(node, process);
                // Asleep can end again, so going on by that does not commute with waking up.
                (asleep || over).then_some((Label::Go(p), next, over))
            }
            Step::AwaitReturn { process, call } => {
                let returned = node.told[process.0 as usize].len() as u32 > call;
                let dead = *node.state.call(process) == Call::Dead;
                (returned || dead).then_some((Label::Go(p), next, true))
            }
            Step::Kill { process } if *node.state.call(process) == Call::Dead => {
                Some((Label::Go(p), next, true))
            }
            Step::Kill { process } => {
                // The killer stays at this step until its victim is dead.
                next.next[i] -= 1;
                next.state = self.spec.kill(&node.state, process);
                (next != *node).then_some((Label::Kill(process), next, false))
            }
        }
    }

    fn done(&self, node: &Node, p: Process) -> bool {
        let i = p.0 as usize;
        *node.state.call(p) == Call::Running
            && node.next[i] as usize == self.scenario.processes[i].0.len()
    }
}

fn outcome(node: &Node) -> Outcome {
    let calls = node.state.calls.iter().enumerate();
    let stuck = calls.filter(|(_, c)| matches!(c, Call::Pending { .. }));
    let blocked = stuck.map(|(p, _)| Process(p as u16)).collect();
    Outcome { told: node.told.clone(), blocked }
}
