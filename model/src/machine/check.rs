//! Decides whether a machine explains a history.
//!
//! The same walk as [`crate::check`] makes for links: through the events in the order of time,
//! with the set of all states that the system may be in. A step is taken as late as possible, when
//! the next return cannot be explained without it. That loses nothing, since a step that no
//! return has needed yet can be taken later just as well; a kill alone cannot be put off, so
//! everything that may happen before it is expanded there.

use std::collections::VecDeque;
use std::fmt;

use rustc_hash::FxHashMap;

use super::history::Event;
use super::{Call, History, Machine, Patience, Spec, System};
use crate::check::Budget;
use crate::op::Process;
use crate::rule::{Force, Kind};

/// Rules by their places.
type Fired = u128;

type States<M> = FxHashMap<System<M>, Fired>;

/// What came of checking one history.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<M: Machine> {
    /// Some sequence of steps explains the history; these rules it took.
    Pass(Vec<&'static str>),
    /// No sequence of steps explains it.
    Fail(Box<Counterexample<M>>),
    /// The check was given up; this is why.
    Inconclusive(String),
}

impl<M: Machine> Verdict<M> {
    /// Whether it is a pass.
    pub fn passed(&self) -> bool {
        matches!(self, Verdict::Pass(_))
    }

    /// The counterexample, if it failed.
    pub fn counterexample(&self) -> Option<&Counterexample<M>> {
        match self {
            Verdict::Fail(counterexample) => Some(counterexample),
            _ => None,
        }
    }
}

/// Why a history is not one of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterexample<M: Machine> {
    /// The rule that is broken: one that the call should have followed.
    pub rule: &'static str,
    /// Who met it.
    pub process: Process,
    /// In which call.
    pub op: M::Op,
    /// What the call returned.
    pub got: M::Ret,
    /// When.
    pub time: u64,
    /// What was allowed there instead, and by which rule.
    pub allowed: Vec<(M::Ret, &'static str)>,
    /// The history up to that return, without the calls that have nothing to do with it.
    pub history: History<M>,
}

impl<M: Machine> Counterexample<M> {
    /// How binding the broken rule is: what breaks a `should` deviates, and does not fail.
    pub fn force(&self) -> Force {
        let rule = M::rules().iter().find(|r| r.id == self.rule);
        rule.expect("it is a rule of the machine").force
    }
}

impl<M: Machine> fmt::Display for Counterexample<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} returned {}; allowed here: ", self.process, self.op, self.got)?;
        if self.allowed.is_empty() {
            return write!(f, "nothing but what {} says", self.rule);
        }
        for (i, (ret, rule)) in self.allowed.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{ret} (by {rule})")?;
        }
        Ok(())
    }
}

/// What [`check`] spends: fewer states than a link's check, since each of them holds objects and
/// their content.
pub const BUDGET: Budget = Budget { states: 20_000 };

/// Whether the machine of the history's profile explains it, with the budget of
/// [`BUDGET`].
pub fn check<M: Machine>(history: &History<M>) -> Verdict<M> {
    check_spec(&Spec::new(history.profile), history, BUDGET)
}

/// The same for any specification, a mutated one too, and any budget.
pub fn check_spec<M: Machine>(spec: &Spec<M>, history: &History<M>, budget: Budget) -> Verdict<M> {
    match decide(spec, history, budget) {
        Verdict::Fail(found) => Verdict::Fail(Box::new(shorter(spec, *found, budget))),
        other => other,
    }
}

/// One walk through the history.
fn decide<M: Machine>(spec: &Spec<M>, history: &History<M>, budget: Budget) -> Verdict<M> {
    let events = match history.events() {
        Ok(events) => events,
        Err(error) => return Verdict::Inconclusive(error.to_string()),
    };
    if let Some(counterexample) = counted(history) {
        return Verdict::Fail(Box::new(counterexample));
    }
    let mut frontier = Frontier { spec, states: States::default(), budget };
    frontier.states.insert(spec.initial(&history.users), 0);
    for (time, event) in events {
        let advanced = match &event {
            Event::Call(p, op) => {
                frontier.states = frontier.map(|s| spec.call(s, *p, (*op).clone()));
                Some(true)
            }
            Event::Crash(p) => frontier.kill(*p),
            Event::Return(_, p, ret) => frontier.returns(*p, ret),
        };
        match (advanced, event) {
            (Some(true), _) => {}
            (None, _) => {
                let why = format!("more than {} states are possible at {time}", budget.states);
                return Verdict::Inconclusive(why);
            }
            (Some(false), Event::Return(i, process, ret)) => {
                let op = history.operations[i].op.clone();
                let allowed = frontier.allowed(process);
                let rule = allowed.first().map_or_else(|| nearest::<M>(&op), |(_, rule)| *rule);
                let got = ret.clone();
                let history = history.until(time);
                let found = Counterexample { rule, process, op, got, time, allowed, history };
                return Verdict::Fail(Box::new(found));
            }
            (Some(false), _) => unreachable!("only a return can be impossible"),
        }
    }
    let fired = frontier.states.values().fold(0, |sum, fired| sum | fired);
    let rules = M::rules().iter().enumerate().filter(|(i, _)| fired >> i & 1 == 1);
    Verdict::Pass(rules.map(|(_, r)| r.id).collect())
}

/// A call that took system calls although the machine says that it takes none.
fn counted<M: Machine>(history: &History<M>) -> Option<Counterexample<M>> {
    history.operations.iter().find_map(|o| {
        let rule = M::without_system_call(&o.op).filter(|_| o.system_calls.unwrap_or(0) > 0)?;
        let (time, got) = o.ret.clone()?;
        let history = history.until(time);
        let (process, op) = (o.process, o.op.clone());
        Some(Counterexample { rule, process, op, got, time, allowed: vec![], history })
    })
}

/// The first rule that speaks of such a call, where a mutated specification allows it nothing.
fn nearest<M: Machine>(op: &M::Op) -> &'static str {
    let speaks = M::rules().iter().find(|r| (r.on)(op));
    speaks.or(M::rules().first()).expect("a machine has rules").id
}

/// The counterexample without the calls that changed nothing, if it still breaks the same rule.
/// What is left is legal if the whole was; but what such a call was told may be just what the
/// counterexample rests on, and then all of them stay.
fn shorter<M: Machine>(
    spec: &Spec<M>,
    found: Counterexample<M>,
    budget: Budget,
) -> Counterexample<M> {
    let mut history = found.history.clone();
    history.operations.retain(|o| match &o.ret {
        Some((time, _)) if o.process == found.process && *time == found.time => true,
        Some((_, ret)) => !M::effectless(&o.op, ret),
        None => true,
    });
    match decide(spec, &history, budget) {
        Verdict::Fail(shorter) if shorter.rule == found.rule && shorter.time == found.time => {
            *shorter
        }
        _ => found,
    }
}

struct Frontier<'s, M: Machine> {
    spec: &'s Spec<M>,
    states: States<M>,
    budget: Budget,
}

impl<M: Machine> Frontier<'_, M> {
    fn map(&self, f: impl Fn(&System<M>) -> System<M>) -> States<M> {
        let mut next = States::default();
        for (system, fired) in &self.states {
            *next.entry(f(system)).or_default() |= fired;
        }
        next
    }

    /// The process is killed. `None`: too many states.
    fn kill(&mut self, process: Process) -> Option<bool> {
        let settles = |system: &System<M>| match system.call(process) {
            Call::Pending(op, _) => self.spec.machine.settled_by_kill(op),
            _ => true,
        };
        let mut before = States::default();
        let all = |_: &System<M>| false;
        self.expand(
            all,
            |p, s| p != process || !settles(s),
            None,
            |system, fired| {
                *before.entry(system.clone()).or_default() |= fired;
            },
        )?;
        self.states = before;
        self.states = self.map(|s| self.spec.kill(s, process));
        Some(true)
    }

    /// The process is told `ret`. `Some(false)`: no state allows it; `None`: too many states.
    fn returns(&mut self, process: Process, ret: &M::Ret) -> Option<bool> {
        if let Some(found) = self.returns_alone(process, ret) {
            let possible = !found.is_empty();
            if possible {
                self.states = found;
            }
            return Some(possible);
        }
        let mut found = States::default();
        let told = |s: &System<M>| matches!(s.call(process), Call::Returning(_));
        self.expand(
            told,
            |_, _| true,
            Some((process, ret)),
            |system, fired| {
                if let Call::Returning(predicted) = system.call(process)
                    && M::explains(predicted, ret)
                {
                    *found.entry(self.spec.ret(system, process)).or_default() |= fired;
                }
            },
        )?;
        if found.is_empty() {
            return Some(false);
        }
        self.states = found;
        Some(true)
    }

    /// The same where there is one state and no other call is pending, as throughout a sequential
    /// history: then nothing has to be remembered but the few states on the way. `None`: it is
    /// not so simple.
    fn returns_alone(&self, process: Process, ret: &M::Ret) -> Option<States<M>> {
        let mut states = self.states.iter();
        let (system, fired) = states.next().filter(|_| self.states.len() == 1)?;
        let pending = |p: &Process| matches!(system.call(*p), Call::Pending(..));
        if !system.processes().filter(pending).eq([process]) {
            return None;
        }
        let mut found = States::default();
        let mut stack = vec![(system.clone(), *fired)];
        while let Some((system, fired)) = stack.pop() {
            match system.call(process) {
                Call::Returning(predicted) if M::explains(predicted, ret) => {
                    *found.entry(self.spec.ret(&system, process)).or_default() |= fired;
                }
                Call::Returning(_) => {}
                _ => {
                    let patience = Patience { seen: Some(ret), alone: true };
                    let steps = self.spec.steps(&system, process, patience);
                    stack.extend(steps.into_iter().map(|(rule, next)| (next, fired | 1 << rule)));
                }
            }
            // Many ways may lead to one state: better to remember where one has been.
            if stack.len() > 16 {
                return None;
            }
        }
        Some(found)
    }

    /// Visits every state that steps of the processes in `moves` lead to, not going on from one
    /// that is `settled`. `seen`: the return that the search is for.
    fn expand(
        &self,
        settled: impl Fn(&System<M>) -> bool,
        moves: impl Fn(Process, &System<M>) -> bool,
        seen: Option<(Process, &M::Ret)>,
        mut visit: impl FnMut(&System<M>, Fired),
    ) -> Option<()> {
        let mut known = self.states.clone();
        let mut queue: VecDeque<System<M>> = known.keys().cloned().collect();
        while let Some(system) = queue.pop_front() {
            let fired = known[&system];
            visit(&system, fired);
            if settled(&system) {
                continue;
            }
            let pending = |p: &Process| matches!(system.call(*p), Call::Pending(..));
            let alone = system.processes().filter(pending).count() == 1;
            for process in system.processes().filter(|p| moves(*p, &system)) {
                let seen = seen.filter(|(p, _)| *p == process).map(|(_, ret)| ret);
                for (rule, next) in self.spec.steps(&system, process, Patience { seen, alone }) {
                    let fired = fired | 1 << rule;
                    known.entry(next).and_modify(|f| *f |= fired).or_insert_with_key(|next| {
                        queue.push_back(next.clone());
                        fired
                    });
                }
            }
            if known.len() > self.budget.states {
                return None;
            }
        }
        Some(())
    }

    /// What the process's pending call may be told in some state that explains the events so far.
    fn allowed(&self, process: Process) -> Vec<(M::Ret, &'static str)> {
        let mut allowed = Vec::new();
        let told = |s: &System<M>| matches!(s.call(process), Call::Returning(_));
        // Nobody reads more than a few answers: where there are very many, some will do.
        let states = self.budget.states.min(self.states.len() + 1000);
        let some = Frontier { states: self.states.clone(), budget: Budget { states }, ..*self };
        let _ = some.expand(
            told,
            |_, _| true,
            None,
            |system, _| {
                for (rule, next) in self.spec.steps(system, process, Patience::ALL) {
                    if let Call::Returning(ret) = next.call(process) {
                        let rule = &M::rules()[rule];
                        allowed.push((rule.kind != Kind::Completes, ret.clone(), rule.id));
                    }
                }
            },
        );
        allowed.sort_unstable();
        allowed.dedup();
        allowed.into_iter().map(|(_, ret, rule)| (ret, rule)).collect()
    }
}
