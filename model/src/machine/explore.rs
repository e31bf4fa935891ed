//! Walks every behaviour of a small scenario on a machine.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use rustc_hash::FxHashSet;

use super::{Call, Machine, Patience, Spec, System, User};
use crate::op::Process;

/// What one process does.
#[derive(Clone, Debug)]
pub struct Script<M: Machine> {
    /// The user it runs as.
    pub user: User,
    /// Its calls, one after another.
    pub calls: Vec<M::Op>,
    /// Whether it may be killed, at any moment.
    pub mortal: bool,
}

/// A small concurrent program, as data.
#[derive(Clone, Debug)]
pub struct Scenario<M: Machine> {
    /// Its name.
    pub name: &'static str,
    /// The profile of the system it runs on.
    pub machine: M,
    /// One process each.
    pub scripts: Vec<Script<M>>,
    /// Calls that are made, one after another, before anything else: process, call.
    pub prelude: Vec<(u16, M::Op)>,
}

/// How one run of a scenario ends, as anybody could see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome<Ret> {
    /// What each process was told, call by call.
    pub told: Vec<Vec<Ret>>,
    /// Who was killed.
    pub killed: Vec<bool>,
    /// What is left over.
    pub remains: String,
}

impl<Ret: fmt::Display> fmt::Display for Outcome<Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (process, (told, killed)) in self.told.iter().zip(&self.killed).enumerate() {
            let told: Vec<String> = told.iter().map(ToString::to_string).collect();
            write!(f, "P{process} [{}]", told.join(", "))?;
            f.write_str(if *killed { " killed; " } else { "; " })?;
        }
        f.write_str(&self.remains)
    }
}

/// One step of a run, for whoever watches over invariants.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'a, M: Machine> {
    /// Before the step.
    pub before: &'a System<M>,
    /// Who steps.
    pub process: Process,
    /// The call, unless the step is a kill.
    pub op: Option<&'a M::Op>,
    /// The rule that allows it, unless the step is a kill.
    pub rule: Option<&'static str>,
    /// After the step.
    pub after: &'a System<M>,
}

/// What an exploration found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored<M: Machine> {
    /// How many states can be reached, each with what every process has been told so far.
    pub states: usize,
    /// Every way the scenario may end.
    pub outcomes: BTreeSet<Outcome<M::Ret>>,
    /// Every rule that fired.
    pub fired: BTreeSet<&'static str>,
    /// What was found wrong: calls without an answer, or with two that exclude one another, and
    /// whatever the watcher objected to.
    pub objections: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Node<M: Machine> {
    system: System<M>,
    next: Vec<usize>,
    told: Vec<Vec<M::Ret>>,
}

/// Walks every behaviour of `scenario` under `spec`. Calls take effect between one another in
/// every order, and a call of several parts is interleaved part by part; `watch` sees each step.
pub fn explore<M: Machine>(
    spec: &Spec<M>,
    scenario: &Scenario<M>,
    mut watch: impl FnMut(Transition<'_, M>) -> Result<(), String>,
) -> Explored<M> {
    let mut found = Explored {
        states: 0,
        outcomes: BTreeSet::new(),
        fired: BTreeSet::new(),
        objections: BTreeSet::new(),
    };
    let mut walk = Walk { spec, scenario, watch: &mut watch, found: &mut found };
    let mut queue = VecDeque::from(walk.prelude());
    let mut known: FxHashSet<Node<M>> = queue.iter().cloned().collect();
    while let Some(node) = queue.pop_front() {
        for next in walk.successors(&node) {
            if known.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    found.states = known.len();
    found
}

struct Walk<'a, M: Machine, W> {
    spec: &'a Spec<M>,
    scenario: &'a Scenario<M>,
    watch: &'a mut W,
    found: &'a mut Explored<M>,
}

impl<M, W> Walk<'_, M, W>
where
    M: Machine,
    W: FnMut(Transition<'_, M>) -> Result<(), String>,
{
    fn prelude(&mut self) -> Vec<Node<M>> {
        let scripts = &self.scenario.scripts;
        let users: Vec<User> = scripts.iter().map(|s| s.user).collect();
        let told = vec![vec![]; users.len()];
        let mut nodes =
            vec![Node { system: self.spec.initial(&users), next: vec![0; users.len()], told }];
        for (process, op) in &self.scenario.prelude {
            let process = Process(*process);
            let mut pending: Vec<Node<M>> = nodes;
            for node in &mut pending {
                node.system = self.spec.call(&node.system, process, op.clone());
            }
            nodes = vec![];
            while let Some(node) = pending.pop() {
                for next in self.step(&node, process) {
                    let running = *next.system.call(process) == Call::Running;
                    let list = if running { &mut nodes } else { &mut pending };
                    if !list.contains(&next) {
                        list.push(next);
                    }
                }
            }
        }
        nodes
    }

    fn successors(&mut self, node: &Node<M>) -> Vec<Node<M>> {
        let mut successors = Vec::new();
        let mut over = true;
        for (i, script) in self.scenario.scripts.iter().enumerate() {
            let process = Process(i as u16);
            let started = match node.system.call(process) {
                Call::Running => script.calls.get(node.next[i]).map(|op| {
                    let mut started = node.clone();
                    started.system = self.spec.call(&node.system, process, op.clone());
                    started.next[i] += 1;
                    started
                }),
                Call::Pending(..) => Some(node.clone()),
                Call::Returning(_) | Call::Dead => None,
            };
            if let Some(started) = started {
                over = false;
                successors.extend(self.step(&started, process));
            }
            if script.mortal && *node.system.call(process) != Call::Dead {
                let after = self.spec.kill(&node.system, process);
                let before = &node.system;
                self.observe(Transition { before, process, op: None, rule: None, after: &after });
                successors.push(Node { system: after, ..node.clone() });
            }
        }
        if over {
            let dead = |c: &Call<M>| *c == Call::Dead;
            self.found.outcomes.insert(Outcome {
                told: node.told.clone(),
                killed: node.system.calls.iter().map(dead).collect(),
                remains: M::remains(&node.system.state),
            });
        }
        successors
    }

    /// Every step of the process's pending call. A call that has taken effect returns at once:
    /// nobody can tell the moment of the return.
    fn step(&mut self, node: &Node<M>, process: Process) -> Vec<Node<M>> {
        let before = &node.system;
        if let Err(rules) = self.spec.consistent(before, process) {
            let Call::Pending(op, _) = before.call(process) else { unreachable!("it steps") };
            let objection = match rules.as_slice() {
                [] => format!("{op} is left without an answer"),
                rules => format!("{op} has answers that exclude one another: {rules:?}"),
            };
            self.found.objections.insert(objection);
        }
        let mut next = Vec::new();
        for (rule, after) in self.spec.steps(before, process, Patience::ALL) {
            let rule = Some(M::rules()[rule].id);
            self.found.fired.extend(rule);
            let Call::Pending(op, _) = before.call(process) else { unreachable!("it steps") };
            self.observe(Transition { before, process, op: Some(op), rule, after: &after });
            let mut node = Node { system: after, ..node.clone() };
            if let Call::Returning(ret) = node.system.call(process) {
                node.told[process.0 as usize].push(ret.clone());
                node.system.set(process, Call::Running);
            }
            next.push(node);
        }
        next
    }

    fn observe(&mut self, transition: Transition<'_, M>) {
        if let Err(objection) = (self.watch)(transition) {
            self.found.objections.insert(objection);
        }
    }
}
