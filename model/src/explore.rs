//! Every behaviour of a small scenario: all states, all outcomes, and whether the model keeps its
//! own promises in each of them.

use std::collections::{BTreeSet, VecDeque};

mod graph;
mod promises;
mod runs;
mod seen;
mod space;

pub use graph::dot;
pub use promises::PROMISES;
pub use runs::runs;
pub use space::{Label, Node, Space};

use crate::op::{Process, Ret};
use crate::rule::{RuleId, RuleSet};
use crate::scenario::Scenario;
use crate::spec::Spec;
use seen::Seen;

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

/// Explores the scenario breadth first.
pub fn explore(spec: &Spec, scenario: &Scenario, limit: Limit) -> Exploration {
    let space = Space::new(spec, scenario, limit.reduced);
    let mut found = Exploration::default();
    // The rules by which each node was reached, and, by its place, what each rule followed.
    let mut by = vec![RuleSet::default()];
    let mut before = vec![RuleSet::default(); RuleId::all().count()];
    let walk = walk(&space, limit, |step| match step {
        Visit::Node(node, successors) => {
            found.broken.extend(space.broken_before(node, successors));
            if successors.is_empty() {
                found.outcomes.insert(space.outcome(node));
            }
        }
        Visit::Edge((from, _), label, (to, _)) => {
            found.transitions += 1;
            let mut arrived = by[from];
            if let Label::Step(_, rule) = label {
                found.fired.insert(rule);
                let place = usize::from(rule.0);
                before[place] = before[place].or(by[from]);
                arrived = [rule].into_iter().collect();
            }
            match by.get_mut(to) {
                Some(known) => *known = known.or(arrived),
                None => by.push(arrived),
            }
        }
    });
    for (rule, before) in RuleId::all().zip(before) {
        found.pairs.extend(before.iter().map(|before| (before, rule)));
    }
    Exploration { states: walk.states, cut_short: walk.cut_short, ..found }
}

/// How many states the scenario has, and whether the limit kept it from counting them all: the
/// walk alone, without a look at what it passes.
pub fn count(spec: &Spec, scenario: &Scenario, limit: Limit) -> (usize, bool) {
    let walk = walk(&Space::new(spec, scenario, limit.reduced), limit, |_| {});
    (walk.states, walk.cut_short)
}

/// What a walk passes.
enum Visit<'a> {
    /// A node, and what may happen next, which follows; nothing where the scenario ends.
    Node(&'a Node, &'a [(Label, Node)]),
    /// An edge between nodes, which have numbers: the start has 0, a new one the next that is free.
    Edge((usize, &'a Node), Label, (usize, &'a Node)),
}

struct Walk {
    states: usize,
    cut_short: bool,
}

/// Visits every node once, breadth first, and every edge.
fn walk(space: &Space<'_>, limit: Limit, mut visit: impl FnMut(Visit<'_>)) -> Walk {
    let mut seen = Seen::new(space);
    let start = space.start();
    let mut queue = VecDeque::from([(seen.insert(&start).0, start)]);
    while let Some((number, node)) = queue.pop_front() {
        let successors = space.successors(&node);
        visit(Visit::Node(&node, &successors));
        for (label, next) in successors {
            let (target, new) = seen.insert(&next);
            visit(Visit::Edge((number, &node), label, (target, &next)));
            if new && target >= limit.states {
                return Walk { states: target, cut_short: true };
            }
            if new {
                queue.push_back((target, next));
            }
        }
    }
    Walk { states: seen.len(), cut_short: false }
}
