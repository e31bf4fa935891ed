//! The set of all states that the system may be in, given what was observed so far.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::Budget;
use crate::history::Event;
use crate::op::{Process, Ret};
use crate::rule::{Kind, RuleId};
use crate::spec::Spec;
use crate::state::{Call, Ends, State};
use crate::verdict::{Allowed, Coverage};

/// States, each with the rules fired on the ways to it.
type States = FxHashMap<State, Coverage>;

/// All states that explain the events so far.
///
/// Steps are taken as late as possible: a pending call takes effect only when a return cannot be
/// explained otherwise. That loses nothing, because a step that no return has needed yet can be
/// taken later just as well; the one exception, a call of a process that is killed, is expanded
/// at the kill.
#[derive(Clone, Debug)]
pub struct Frontier<'s> {
    spec: &'s Spec,
    states: States,
    budget: Budget,
    /// What calls in progress will be told, where that is known.
    promised: Vec<Option<Ret>>,
}

/// Why an event does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuted {
    /// No state allows it.
    Impossible,
    /// There are too many states to tell.
    Budget,
}

/// What a search through steps is to end with.
#[derive(Clone, Copy)]
enum Goal {
    /// The process is about to return this.
    Returns(Process, Ret),
    /// The process is about to return, whatever it is.
    ReturnsAnything(Process),
}

impl Goal {
    fn process(self) -> Process {
        match self {
            Goal::Returns(p, _) | Goal::ReturnsAnything(p) => p,
        }
    }
}

fn merge(states: &mut States, state: State, coverage: Coverage) {
    states
        .entry(state)
        .and_modify(|c| {
            c.any = c.any.or(coverage.any);
            c.every = c.every.and(coverage.every);
        })
        .or_insert(coverage);
}

fn fired(mut coverage: Coverage, rule: RuleId) -> Coverage {
    coverage.any.insert(rule);
    coverage.every.insert(rule);
    coverage
}

/// How far the steps between two events have gone. Every step raises it, and it depends on the
/// state alone: in its order, a state is expanded only after every way to it is known.
fn rank(state: &State) -> usize {
    let dead = state.calls.iter().filter(|c| **c == Call::Dead).count();
    let returning = state.calls.iter().filter(|c| matches!(c, Call::Returning(_))).count();
    let unreleased: usize = state.links.iter().map(|l| l.killed.iter().count()).sum();
    let most = state.links.len() * 64;
    dead * (most + 64) + returning + most - unreleased
}

impl<'s> Frontier<'s> {
    /// Before anything has happened.
    pub fn new(spec: &'s Spec, processes: usize, ends: &[Ends], budget: Budget) -> Self {
        let mut states = States::default();
        states.insert(State::new(processes, ends), Coverage::default());
        Self { spec, states, budget, promised: Vec::new() }
    }

    /// Says what the process's next call will be told. States that have told it something else are
    /// left out from then on: they would not survive its return.
    pub(crate) fn promise(&mut self, process: Process, ret: Option<Ret>) {
        let process = usize::from(process.0);
        self.promised.resize(self.promised.len().max(process + 1), None);
        self.promised[process] = ret;
    }

    fn keeps_promises(&self, state: &State) -> bool {
        self.promised.iter().zip(&state.calls).all(|(promised, call)| match (promised, call) {
            (Some(promised), Call::Returning(told)) => promised == told,
            _ => true,
        })
    }

    /// The specification it follows.
    pub fn spec(&self) -> &'s Spec {
        self.spec
    }

    /// How many states explain what was observed.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether nothing explains it: never, after an event that was accepted.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Takes the next event in. After an error the frontier is as it was before the event.
    pub(crate) fn advance(&mut self, event: Event) -> Result<(), Refuted> {
        match event {
            Event::Call(process, op) => self.map(|spec, s| spec.call(s, process, op)),
            Event::Expire(process) => self.map(|spec, s| spec.expire(s, process)),
            Event::Blocked(process) => self.sleep(process),
            Event::Kill(process) => self.map(|spec, s| spec.kill(s, process)),
            Event::Crash(process) => {
                let mut effected = self.search(Goal::ReturnsAnything(process))?;
                for (state, coverage) in &self.states {
                    merge(&mut effected, state.clone(), *coverage);
                }
                self.states = effected;
                self.map(|spec, s| spec.crash(s, process));
            }
            Event::Return(process, ret) => {
                let found = self.search(Goal::Returns(process, ret))?;
                if found.is_empty() {
                    return Err(Refuted::Impossible);
                }
                self.states = found;
                self.map(|spec, s| spec.ret(s, process, ret).expect("searched for"));
            }
        }
        Ok(())
    }

    fn map(&mut self, f: impl Fn(&Spec, &State) -> State) {
        let mut next = States::default();
        for (state, coverage) in self.states.drain() {
            merge(&mut next, f(self.spec, &state), coverage);
        }
        self.states = next;
    }

    /// The process was seen asleep. Where a state lets it block, it has; where a state lets it go
    /// on, it may have been seen just before it woke, so that state stays too.
    fn sleep(&mut self, process: Process) {
        let mut next = States::default();
        for (state, coverage) in self.states.drain() {
            let steps = self.spec.steps(&state, process);
            match steps.into_iter().find(|(r, _)| r.rule().kind == Kind::Blocks) {
                Some((rule, asleep)) => merge(&mut next, asleep, fired(coverage, rule)),
                None => merge(&mut next, state, coverage),
            }
        }
        self.states = next;
    }

    /// All states that steps lead to in which the goal is just reached.
    fn search(&self, goal: Goal) -> Result<States, Refuted> {
        let mut found = States::default();
        self.expand(goal.process(), |state, coverage| {
            let reached = match (state.call(goal.process()), goal) {
                (Call::Returning(told), Goal::Returns(_, ret)) => ret == *told,
                (Call::Returning(_), Goal::ReturnsAnything(_)) => true,
                _ => false,
            };
            if reached {
                merge(&mut found, state, coverage);
            }
        })?;
        Ok(found)
    }

    /// Visits every state that steps lead to, until `process` has taken effect.
    fn expand(
        &self,
        process: Process,
        mut visit: impl FnMut(State, Coverage),
    ) -> Result<(), Refuted> {
        let mut layers: BTreeMap<usize, States> = BTreeMap::new();
        for (state, coverage) in &self.states {
            merge(layers.entry(rank(state)).or_default(), state.clone(), *coverage);
        }
        let mut visited = 0;
        while let Some((_, layer)) = layers.pop_first() {
            visited += layer.len();
            if visited > self.budget.states {
                return Err(Refuted::Budget);
            }
            for (state, coverage) in layer {
                if !matches!(state.call(process), Call::Returning(_)) {
                    for p in 0..state.calls.len() {
                        for (rule, next) in self.spec.steps(&state, Process(p as u16)) {
                            if rule.rule().kind != Kind::Blocks && self.keeps_promises(&next) {
                                let layer = layers.entry(rank(&next)).or_default();
                                merge(layer, next, fired(coverage, rule));
                            }
                        }
                    }
                }
                visit(state, coverage);
            }
        }
        Ok(())
    }

    /// What the process's pending call may do in some state that explains the events so far.
    pub(crate) fn allowed(&self, process: Process) -> Result<Vec<(Allowed, RuleId)>, Refuted> {
        let mut allowed = Vec::new();
        self.expand(process, |state, _| {
            if !matches!(state.call(process), Call::Pending { .. }) {
                return;
            }
            for (rule, next) in self.spec.steps(&state, process) {
                match next.call(process) {
                    Call::Returning(ret) => allowed.push((Allowed::Return(*ret), rule)),
                    _ => allowed.push((Allowed::Wait, rule)),
                }
            }
            for p in (0..state.calls.len() as u16).map(Process).filter(|p| *p != process) {
                for (rule, next) in self.spec.steps(&state, p) {
                    if let Call::Returning(ret) = next.call(process) {
                        allowed.push((Allowed::Return(*ret), rule));
                    }
                }
            }
        })?;
        allowed.sort_unstable();
        allowed.dedup();
        Ok(allowed)
    }

    /// The rules fired on all ways that explain the events so far.
    pub fn coverage(&self) -> Coverage {
        let mut states = self.states.values();
        let first = states.next().copied().unwrap_or_default();
        states.fold(first, |sum, c| Coverage {
            any: sum.any.or(c.any),
            every: sum.every.and(c.every),
        })
    }

    /// Nothing moves any more: every call that is still pending must be one that the model lets
    /// block for good.
    ///
    /// # Errors
    /// A process whose call should have returned, and the states in which it should have.
    pub(crate) fn quiesce(&self) -> Result<Coverage, (Process, Self)> {
        let (states, promised) = (States::default(), Vec::new());
        let mut resting = Frontier { spec: self.spec, budget: self.budget, states, promised };
        let mut stuck = None;
        for (state, coverage) in &self.states {
            match self.rest(state.clone(), *coverage) {
                Ok((state, coverage)) => merge(&mut resting.states, state, coverage),
                Err(process) => stuck = stuck.max(Some(process)),
            }
        }
        match stuck {
            Some(process) if resting.states.is_empty() => {
                for (state, coverage) in &self.states {
                    let (state, coverage) = self.settle(state.clone(), *coverage);
                    merge(&mut resting.states, state, coverage);
                }
                Err((process, resting))
            }
            _ => Ok(resting.coverage()),
        }
    }

    /// Lets the system finish what it does by itself.
    fn settle(&self, mut state: State, mut coverage: Coverage) -> (State, Coverage) {
        for p in (0..state.calls.len() as u16).map(Process) {
            while *state.call(p) == Call::Dead {
                let Some((rule, next)) = self.spec.steps(&state, p).pop() else { break };
                coverage = fired(coverage, rule);
                state = next;
            }
        }
        (state, coverage)
    }

    /// Whether every pending call blocks once the system has finished what it does by itself.
    fn rest(&self, state: State, coverage: Coverage) -> Result<(State, Coverage), Process> {
        let (state, mut coverage) = self.settle(state, coverage);
        for p in (0..state.calls.len() as u16).map(Process) {
            match state.call(p) {
                Call::Running | Call::Dead => continue,
                Call::Returning(_) => return Err(p),
                Call::Pending { op, expired, .. } => {
                    let mut awake = state.clone();
                    awake.set(p, Call::Pending { op: *op, blocked: false, expired: *expired });
                    let steps = self.spec.steps(&awake, p);
                    match steps.into_iter().find(|(r, _)| r.rule().kind == Kind::Blocks) {
                        Some((rule, _)) => coverage = fired(coverage, rule),
                        None => return Err(p),
                    }
                }
            }
        }
        Ok((state, coverage))
    }
}
