//! One explanation of a history, step by step, for those who want to see it: when each call took
//! effect, what was inside then, and what else each call might have been told.

use rustc_hash::FxHashSet;

use super::frontier::Frontier;
use super::{Budget, beyond};
use crate::history::{Event, History, Timing};
use crate::op::{Message, Process};
use crate::rule::{Kind, RuleId};
use crate::spec::Spec;
use crate::state::{Call, State};
use crate::verdict::Allowed;

/// What is known of a history call by call; calls are named by their places in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// The steps of one explanation of as much of the history as can be explained, in their order.
    pub effects: Vec<Effect>,
    /// For each call that returned while everything could still be explained, and for the first
    /// that could not: what some explanation of the events before allowed it.
    pub allowed: Vec<Vec<(Allowed, RuleId)>>,
    /// The time of the first event that no explanation reaches; `None` if all are explained.
    pub explained_until: Option<u64>,
    /// Whether looking was given up there, so that an explanation may go further.
    pub gave_up: bool,
}

/// One step of an explanation: a call takes effect, two at once where they meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// By which rule.
    pub rule: RuleId,
    /// The calls that took effect.
    pub calls: Vec<usize>,
    /// The step comes after the last event before this time, and before the first at it.
    pub before: u64,
    /// What is inside the link afterwards, oldest first.
    pub inside: Vec<Message>,
}

/// Looks for an explanation of the longest possible start of the history, at the weak reading of
/// `timeout`. It costs what a search costs: for histories of some hundred calls.
pub fn follow(spec: &Spec, history: &History, budget: Budget) -> Followed {
    let mut followed =
        Followed { allowed: vec![Vec::new(); history.operations.len()], ..Followed::default() };
    if history.malformed().is_some() || beyond(spec, history).is_some() {
        return Followed { explained_until: Some(0), gave_up: true, ..followed };
    }
    let events = history.events(Timing::Weak);
    let calls = calls(history, &events);
    allowed(spec, history, &events, &calls, budget, &mut followed);
    let mut walk = Walk {
        spec,
        events: &events,
        visited: FxHashSet::default(),
        budget: budget.states,
        best: (0, Vec::new()),
    };
    walk.search(State::new(history.width(), &history.ends()));
    let (reached, steps) = walk.best;
    followed.effects = steps.into_iter().map(|step| step.effect(&events, &calls)).collect();
    if let Some((time, _)) = events.get(reached) {
        followed.gave_up |= followed.explained_until.is_none_or(|until| *time < until);
        followed.explained_until = Some(*time);
    }
    followed
}

/// For each event, the call that it is about; [`usize::MAX`] for kills.
fn calls(history: &History, events: &[(u64, Event)]) -> Vec<usize> {
    let mut by_process: Vec<Vec<usize>> = vec![Vec::new(); history.width()];
    let mut order: Vec<usize> = (0..history.operations.len()).collect();
    order.sort_by_key(|&i| {
        let o = &history.operations[i];
        (o.call, o.ret.map_or(u64::MAX, |(time, _)| time))
    });
    order.into_iter().rev().for_each(|i| {
        by_process[usize::from(history.operations[i].process.0)].push(i);
    });
    let mut current = vec![usize::MAX; history.width()];
    let call = |(_, event): &(u64, Event)| match *event {
        Event::Call(process, _) => {
            let process = usize::from(process.0);
            current[process] = by_process[process].pop().expect("as many calls as were made");
            current[process]
        }
        Event::Expire(p) | Event::Blocked(p) | Event::Return(p, _) => current[usize::from(p.0)],
        Event::Kill(_) | Event::Crash(_) => usize::MAX,
    };
    events.iter().map(call).collect()
}

/// Fills in what each call was allowed, as far as it goes.
fn allowed(
    spec: &Spec,
    history: &History,
    events: &[(u64, Event)],
    calls: &[usize],
    budget: Budget,
    followed: &mut Followed,
) {
    let mut frontier = Frontier::new(spec, history.width(), &history.ends(), budget);
    for ((time, event), call) in events.iter().zip(calls) {
        if let Event::Return(process, _) = event {
            match frontier.allowed(*process) {
                Ok(allowed) => followed.allowed[*call] = allowed,
                Err(_) => return,
            }
        }
        match frontier.advance(*event) {
            Ok(()) => {}
            Err(super::frontier::Refuted::Budget) => return,
            Err(super::frontier::Refuted::Impossible) => {
                followed.explained_until = Some(*time);
                return;
            }
        }
    }
}

/// A step before event number `event`: which processes' calls it completed.
#[derive(Clone)]
struct Taken {
    rule: RuleId,
    event: usize,
    processes: Vec<Process>,
    inside: Vec<Message>,
}

impl Taken {
    fn effect(self, events: &[(u64, Event)], calls: &[usize]) -> Effect {
        let call = |p: &Process| {
            let about = |(_, event): &(u64, Event)| matches!(event, Event::Call(q, _) if q == p);
            events[..self.event].iter().rposition(about).map(|i| calls[i])
        };
        Effect {
            rule: self.rule,
            calls: self.processes.iter().filter_map(call).collect(),
            before: events.get(self.event).map_or(u64::MAX, |(time, _)| *time),
            inside: self.inside,
        }
    }
}

/// Depth first, every state once: as late as possible, like the [`Frontier`].
struct Walk<'a> {
    spec: &'a Spec,
    events: &'a [(u64, Event)],
    visited: FxHashSet<(usize, State)>,
    budget: usize,
    /// How many events the best way explains, and its steps.
    best: (usize, Vec<Taken>),
}

impl Walk<'_> {
    fn search(&mut self, start: State) {
        // A way is a chain of steps, each with its place in `chain` and the step before it.
        let mut chain: Vec<(Taken, usize)> = Vec::new();
        let mut open = vec![(0, start, usize::MAX)];
        while let Some((event, state, last)) = open.pop() {
            let (event, state) = self.pass(event, state);
            if event > self.best.0 || self.best.1.is_empty() {
                self.best = (event, way(&chain, last));
            }
            if event == self.events.len() || self.visited.len() > self.budget {
                return;
            }
            if !self.visited.insert((event, state.clone())) {
                continue;
            }
            let (process, crashes) = match self.events[event].1 {
                Event::Return(process, _) => (process, false),
                Event::Crash(process) => (process, true),
                _ => unreachable!("nothing else needs a step"),
            };
            // It was given another answer than it was told.
            if !crashes && matches!(state.call(process), Call::Returning(_)) {
                continue;
            }
            // The last is tried first: the process's own steps, and dying without any.
            let mut next = Vec::new();
            let others = (0..state.calls.len() as u16).map(Process).filter(|p| *p != process);
            for p in others.chain([process]) {
                for (rule, after) in self.spec.steps(&state, p) {
                    if rule.rule().kind != Kind::Blocks {
                        chain.push((taken(rule, event, &state, &after), last));
                        next.push((event, after, chain.len() - 1));
                    }
                }
            }
            if crashes {
                next.push((event + 1, self.spec.crash(&state, process), last));
            }
            open.extend(next);
        }
    }

    /// Passes over every event that the state needs no step for.
    fn pass(&self, mut event: usize, mut state: State) -> (usize, State) {
        while let Some((_, next)) = self.events.get(event) {
            state = match *next {
                Event::Call(process, op) => self.spec.call(&state, process, op),
                Event::Expire(process) => self.spec.expire(&state, process),
                Event::Kill(process) => self.spec.kill(&state, process),
                Event::Blocked(process) => {
                    let steps = self.spec.steps(&state, process).into_iter();
                    let asleep = |(rule, _): &(RuleId, State)| rule.rule().kind == Kind::Blocks;
                    steps.into_iter().find(asleep).map_or(state, |(_, asleep)| asleep)
                }
                Event::Return(process, ret) => match self.spec.ret(&state, process, ret) {
                    Some(returned) => returned,
                    None => return (event, state),
                },
                Event::Crash(process) if matches!(state.call(process), Call::Pending { .. }) => {
                    return (event, state);
                }
                Event::Crash(process) => self.spec.crash(&state, process),
            };
            event += 1;
        }
        (event, state)
    }
}

fn taken(rule: RuleId, event: usize, before: &State, after: &State) -> Taken {
    let completed = |p: &Process| {
        matches!(before.call(*p), Call::Pending { .. })
            && matches!(after.call(*p), Call::Returning(_))
    };
    let processes: Vec<Process> =
        (0..after.calls.len() as u16).map(Process).filter(completed).collect();
    let link = processes.iter().find_map(|p| before.pending(*p)).map_or(0, |op| op.link());
    let inside = after.links.get(usize::from(link)).map(|l| l.queue.iter().map(|w| w.message));
    Taken { rule, event, processes, inside: inside.into_iter().flatten().collect() }
}

fn way(chain: &[(Taken, usize)], mut last: usize) -> Vec<Taken> {
    let mut steps = Vec::new();
    while let Some((step, before)) = chain.get(last) {
        steps.push(step.clone());
        last = *before;
    }
    steps.reverse();
    steps
}
