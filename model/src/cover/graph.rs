//! The states between the calls of a scenario whose calls are made one after the other.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Pairs;
use super::moves::{Cast, Move};
use crate::op::Process;
use crate::profile::Capacity;
use crate::rule::{RuleId, RuleSet};
use crate::spec::Spec;
use crate::state::{Call, Ends, State};

/// How many moves from the start are looked at. More have shown nothing new.
const DEPTH: usize = 9;

/// How many nodes are looked at; the nearest come first.
const NODES: usize = 1_000;

/// In how many states the system may be between two calls; a move that leaves more open is not
/// made.
const BRANCHES: usize = 4;

/// The graph.
pub(crate) struct Graph {
    /// The first is the start.
    pub(crate) nodes: Vec<Node>,
}

/// What may be the case between two calls.
pub(crate) struct Node {
    /// The states that the system may be in, each with the rule that fired last.
    pub(crate) branches: Vec<Branch>,
    /// What may be done next.
    pub(crate) edges: Vec<Edge>,
    depth: usize,
}

/// A move.
pub(crate) struct Edge {
    pub(crate) what: Move,
    /// The rules that it may fire.
    pub(crate) fired: RuleSet,
    /// The pairs that it may fire.
    pub(crate) pairs: Pairs,
    /// The node that it leads to.
    pub(crate) to: usize,
}

impl Graph {
    /// Every node within reach.
    pub(crate) fn explore(cast: &Cast) -> Self {
        let spec = Spec::new(cast.profile);
        let ends = Ends {
            senders: (0..cast.senders).map(Process).collect(),
            receivers: (cast.senders..cast.width()).map(Process).collect(),
        };
        let start = vec![(State::new(cast.width() as usize, &[ends]), None)];
        let mut index: FxHashMap<Vec<Branch>, usize> = FxHashMap::default();
        index.insert(start.clone(), 0);
        let mut nodes = vec![Node { branches: start, edges: vec![], depth: 0 }];
        let mut queue = VecDeque::from([0]);
        while let Some(number) = queue.pop_front() {
            if nodes[number].depth >= DEPTH {
                continue;
            }
            let states: Vec<&State> = nodes[number].branches.iter().map(|(s, _)| s).collect();
            let mut edges = Vec::new();
            for what in cast.moves(&states) {
                let (fired, pairs) = (RuleSet::default(), Pairs::new());
                let mut settling = Settling { spec: &spec, fired, pairs, settled: vec![] };
                nodes[number].branches.iter().for_each(|b| settling.begin(cast, what, b));
                let mut branches = settling.settled;
                if branches.len() > 1 {
                    // In one order, so that two ways to the same states lead to one node.
                    branches.sort_by_cached_key(|b| format!("{b:?}"));
                }
                if branches.is_empty() || branches.len() > BRANCHES {
                    continue;
                }
                let depth = nodes[number].depth + 1;
                let known = index.get(&branches).copied();
                let to = match known {
                    Some(to) => to,
                    None if nodes.len() >= NODES => continue,
                    None => {
                        index.insert(branches.clone(), nodes.len());
                        queue.push_back(nodes.len());
                        nodes.push(Node { branches, edges: vec![], depth });
                        nodes.len() - 1
                    }
                };
                edges.push(Edge { what, fired: settling.fired, pairs: settling.pairs, to });
            }
            nodes[number].edges = edges;
        }
        Self { nodes }
    }
}

type Branch = (State, Option<RuleId>);

/// Lets the system come to rest after a move, in every way it can.
struct Settling<'a> {
    spec: &'a Spec,
    fired: RuleSet,
    pairs: Pairs,
    settled: Vec<Branch>,
}

impl Settling<'_> {
    /// Makes the move in this state, and follows what comes of it.
    fn begin(&mut self, cast: &Cast, what: Move, branch: &Branch) {
        let (state, last) = branch;
        match what {
            Move::Fill => {
                let mut branch = branch.clone();
                for _ in 0..cast.filling() {
                    let send = Move::Send(Process(0), cast.usual_mode(), cast.profile.usual_size());
                    let mut filling = Settling { settled: vec![], pairs: Pairs::new(), ..*self };
                    filling.begin(cast, send, &branch);
                    self.fired = self.fired.or(filling.fired);
                    self.pairs.extend(filling.pairs);
                    branch = filling.settled.swap_remove(0);
                }
                self.rest(branch);
            }
            // Where the call has returned already, there is nothing to wait for.
            Move::Deadline(p) if *state.call(p) == Call::Running => self.rest(branch.clone()),
            Move::Deadline(p) => self.follow(vec![(self.spec.expire(state, p), *last)]),
            Move::Kill(p) => self.follow(vec![(self.spec.kill(state, p), *last)]),
            Move::Send(..) | Move::Receive(..) | Move::Close(_) => {
                let (p, op) = cast.op(what).expect("it is a call");
                self.follow(vec![(self.spec.call(state, p, op), *last)]);
            }
        }
    }

    fn follow(&mut self, mut stack: Vec<Branch>) {
        let mut known: FxHashSet<Branch> = stack.iter().cloned().collect();
        while let Some((state, last)) = stack.pop() {
            let mut moved = false;
            for p in (0..state.calls.len() as u16).map(Process) {
                for (rule, mut next) in self.spec.steps(&state, p) {
                    moved = true;
                    self.fired.insert(rule);
                    self.pairs.extend(last.map(|before| (before, rule)));
                    for call in &mut next.calls {
                        if matches!(call, Call::Returning(_)) {
                            *call = Call::Running;
                        }
                    }
                    let next = (next, Some(rule));
                    if known.insert(next.clone()) {
                        stack.push(next);
                    }
                }
            }
            if !moved || self.may_rest(&state) {
                self.rest((state, last));
            }
        }
    }

    /// Whether the system may stay as it is although it could take a step: a link that does not
    /// say how much it holds may leave its senders asleep.
    fn may_rest(&self, state: &State) -> bool {
        let asleep = |c: &Call| {
            matches!(
                c,
                Call::Running | Call::Dead | Call::Pending { blocked: true, expired: false, .. }
            )
        };
        matches!(self.spec.profile.capacity, Capacity::AtLeast(_))
            && state.dying.is_empty()
            && state.links.iter().all(|l| l.killed.is_empty())
            && state.calls.iter().all(asleep)
    }

    fn rest(&mut self, branch: Branch) {
        if !self.settled.contains(&branch) {
            self.settled.push(branch);
        }
    }
}
