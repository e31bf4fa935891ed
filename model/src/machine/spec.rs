//! The labelled transition system of a machine, and what can be broken in it on purpose.

use std::fmt;

use super::{At, Call, Effect, Machine, Rule, System, User};
use crate::op::Process;
use crate::rule::Kind;

/// The rules of a machine as a transition system, with at most one of them broken.
#[derive(Clone, Copy, Debug)]
pub struct Spec<M: Machine> {
    /// The profile.
    pub machine: M,
    mutation: Option<Mutation>,
}

/// One defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mutation {
    /// The rule, by its place in [`Machine::rules`].
    pub rule: usize,
    /// What of it is broken.
    pub part: Part,
}

/// What of a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The condition of this place is not asked.
    Dropped(usize),
    /// The condition of this place is asked the wrong way round.
    Negated(usize),
    /// The call returns what it should, but nothing has changed.
    Still,
    /// The rule never fires.
    Removed,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Dropped(i) => write!(f, "condition {i} dropped"),
            Part::Negated(i) => write!(f, "condition {i} negated"),
            Part::Still => f.write_str("effect dropped"),
            Part::Removed => f.write_str("rule removed"),
        }
    }
}

/// Every defect of one place that a machine's rules can have. Properties are no steps and have
/// none; a rule that refuses has no effect to drop.
pub fn mutations<M: Machine>() -> impl Iterator<Item = Mutation> {
    let steps = M::rules().iter().enumerate().filter(|(_, r)| r.kind != Kind::Property);
    steps.flat_map(|(rule, r)| {
        let conditions = (0..r.when.len()).flat_map(|i| [Part::Dropped(i), Part::Negated(i)]);
        let still = (r.kind == Kind::Completes).then_some(Part::Still);
        let parts = conditions.chain(still).chain([Part::Removed]);
        parts.map(move |part| Mutation { rule, part })
    })
}

/// How a step is taken.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a, Ret> {
    /// The call's recorded return, where only steps towards it matter.
    pub seen: Option<&'a Ret>,
    /// Whether the parts of a call are taken in one order, where no other call is pending.
    pub alone: bool,
}

impl<Ret> Patience<'_, Ret> {
    /// Every step, in every order.
    pub const ALL: Self = Self { seen: None, alone: false };
}

impl<M: Machine> Spec<M> {
    /// The specification as it is meant.
    pub fn new(machine: M) -> Self {
        Self { machine, mutation: None }
    }

    /// The same with one defect, to test what tests.
    pub fn mutated(machine: M, mutation: Mutation) -> Self {
        Self { machine, mutation: Some(mutation) }
    }

    /// Nothing exists, and every process runs.
    pub fn initial(&self, users: &[User]) -> System<M> {
        System { calls: vec![Call::Running; users.len()], state: self.machine.initial(users) }
    }

    /// Label *call*: the process asks for `op`.
    ///
    /// # Panics
    /// If the process is in a call already; histories and scenarios are checked for that before.
    pub fn call(&self, system: &System<M>, process: Process, op: M::Op) -> System<M> {
        assert_eq!(*system.call(process), Call::Running, "{process} calls twice");
        let mut next = system.clone();
        next.set(process, Call::Pending(op, M::Progress::default()));
        next
    }

    /// Label *tau*: every step that the process's pending call may take, with the place of the
    /// rule that allows it.
    pub fn steps(
        &self,
        system: &System<M>,
        process: Process,
        patience: Patience<'_, M::Ret>,
    ) -> Vec<(usize, System<M>)> {
        let Call::Pending(op, progress) = system.call(process) else { return vec![] };
        let Patience { seen, alone } = patience;
        let (machine, state) = (&self.machine, &system.state);
        let mut steps = Vec::new();
        for part in machine.parts(state, process, op, progress, alone) {
            let at = At { machine, state, process, op, progress, part, seen };
            for (place, rule) in M::rules().iter().enumerate() {
                if !self.enabled(place, rule, &at) {
                    continue;
                }
                for effect in (rule.effect)(&at).into_iter().flatten() {
                    steps.push((place, self.take(place, system, process, effect)));
                }
            }
        }
        steps
    }

    fn enabled(&self, place: usize, rule: &Rule<M>, at: &At<'_, M>) -> bool {
        let broken = self.mutation.filter(|m| m.rule == place).map(|m| m.part);
        (rule.on)(at.op)
            && broken != Some(Part::Removed)
            && rule.when.iter().enumerate().all(|(i, condition)| match broken {
                Some(Part::Dropped(dropped)) if dropped == i => true,
                Some(Part::Negated(negated)) if negated == i => !condition.met(at),
                _ => condition.met(at),
            })
    }

    fn take(
        &self,
        place: usize,
        system: &System<M>,
        process: Process,
        effect: Effect<M>,
    ) -> System<M> {
        let (state, call) = match effect {
            Effect::Done(state, ret) => (state, Call::Returning(ret)),
            Effect::More(state, progress) => {
                let Call::Pending(op, _) = system.call(process) else { unreachable!("it steps") };
                (state, Call::Pending(op.clone(), progress))
            }
        };
        let still = self.mutation == Some(Mutation { rule: place, part: Part::Still });
        let state = if still { system.state.clone() } else { state };
        let mut next = System { calls: system.calls.clone(), state };
        next.set(process, call);
        next
    }

    /// Label *return*: the process is told what its call came to.
    pub fn ret(&self, system: &System<M>, process: Process) -> System<M> {
        let mut next = system.clone();
        next.set(process, Call::Running);
        next
    }

    /// Label *crash*: the process is killed, wherever it is, and the system takes back what the
    /// process held.
    pub fn kill(&self, system: &System<M>, process: Process) -> System<M> {
        let mut next = system.clone();
        let pending = match system.call(process) {
            Call::Pending(op, progress) => Some((op, progress)),
            _ => None,
        };
        let internal = |r: &Rule<M>| r.kind == Kind::Internal;
        let broken = self.mutation.is_some_and(|m| internal(&M::rules()[m.rule]));
        if !broken {
            self.machine.kill(&mut next.state, process, pending);
        }
        next.set(process, Call::Dead);
        next
    }

    /// Whether the rules give the process's pending call exactly one kind of answer for each of
    /// its parts: either one completing rule and no refusing one, or refusing ones only.
    ///
    /// # Errors
    /// The rules in conflict; none, where the call would be left without an answer.
    pub fn consistent(
        &self,
        system: &System<M>,
        process: Process,
    ) -> Result<(), Vec<&'static str>> {
        let Call::Pending(op, progress) = system.call(process) else { return Ok(()) };
        let (machine, state) = (&self.machine, &system.state);
        for part in machine.parts(state, process, op, progress, false) {
            let at = At { machine, state, process, op, progress, part, seen: None };
            let enabled = M::rules().iter().enumerate().filter(|(i, r)| self.enabled(*i, r, &at));
            let enabled: Vec<&Rule<M>> = enabled.map(|(_, r)| r).collect();
            let completing = enabled.iter().filter(|r| r.kind == Kind::Completes).count();
            let alone = completing == 1 && enabled.len() == 1;
            if !(alone || (completing == 0 && !enabled.is_empty())) {
                return Err(enabled.iter().map(|r| r.id).collect());
            }
        }
        Ok(())
    }
}
