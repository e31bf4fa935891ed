//! The labelled transition system of one link: which states follow a call, a step, a return, a
//! crash, or the passing of a deadline.

use crate::defect::Defect;
use crate::mutant::Mutation;
use crate::op::{Op, Process, Ret};
use crate::profile::Profile;
use crate::rule::{Kind, RuleId};
use crate::rules::at::At;
use crate::state::{Call, State};

/// The rules that a profile switches on, as a transition system.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What the link claims.
    pub profile: Profile,
    rules: Vec<RuleId>,
    mutation: Option<Mutation>,
    defect: Option<Defect>,
}

/// One step that a state allows: the rule that fires, and the state it leads to.
pub(crate) type Step = (RuleId, State);

impl Spec {
    /// The specification of a link that claims this profile.
    pub fn new(profile: Profile) -> Self {
        let claimed = |r: &RuleId| (r.rule().claimed)(&profile) && r.rule().kind != Kind::Property;
        Self {
            profile,
            rules: RuleId::all().filter(claimed).collect(),
            mutation: None,
            defect: None,
        }
    }

    /// The same with one defect: a specification that is wrong on purpose, to test what tests.
    pub fn mutated(profile: Profile, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..Self::new(profile) }
    }

    /// The same with one defect of one place of one rule.
    pub fn defective(profile: Profile, defect: Defect) -> Self {
        Self { defect: Some(defect), ..Self::new(profile) }
    }

    /// The same, with the step of a rule that the profile does not claim: as if what the rule says
    /// of profiles were true of every one.
    pub fn overclaiming(profile: Profile, rule: RuleId) -> Self {
        let mut spec = Self::new(profile);
        let place = spec.rules.partition_point(|known| *known < rule);
        if spec.rules.get(place) != Some(&rule) {
            spec.rules.insert(place, rule);
        }
        spec
    }

    /// Whether it is wrong on purpose: monitors know only the right one.
    pub(crate) fn is_mutated(&self) -> bool {
        self.mutation.is_some() || self.defect.is_some()
    }

    /// The rules of kind other than `Property` that the profile switches on.
    pub fn rules(&self) -> &[RuleId] {
        &self.rules
    }

    /// Label *call*: the process asks for `op`.
    ///
    /// # Panics
    /// If the process is in a call already; histories and scenarios are checked for that before.
    pub fn call(&self, state: &State, process: Process, op: Op) -> State {
        assert_eq!(*state.call(process), Call::Running, "{process} calls twice");
        let mut next = state.clone();
        next.set(process, Call::Pending { op, blocked: false, expired: false });
        next
    }

    /// Label *tau*: every step that the process's pending call may take, or that the system may
    /// take on behalf of a dead process. Empty, for a live process in a call, means it blocks.
    pub fn steps(&self, state: &State, process: Process) -> Vec<(RuleId, State)> {
        let mut steps = Vec::new();
        let idle = matches!(state.call(process), Call::Running | Call::Returning(_));
        if idle && !state.dying.contains(process) {
            return steps;
        }
        let at = At::new(&self.profile, state, process);
        for &id in &self.rules {
            let mut outcomes = match self.defect {
                Some(defect) if defect.rule == id => defect.step(&at),
                _ => (id.rule().step)(&at),
            };
            if let Some(mutation) = self.mutation {
                outcomes = mutation(&at, id.rule(), outcomes);
            }
            steps.extend(outcomes.into_iter().flatten().map(|next| (id, next)));
        }
        steps
    }

    /// The rules that the process's pending call could follow here.
    pub fn enabled(&self, state: &State, process: Process) -> Vec<RuleId> {
        let mut rules: Vec<_> = self.steps(state, process).into_iter().map(|(r, _)| r).collect();
        // A joint step is a rule of the sender's; it is the receiver's chance just as much.
        for (other, ..) in state.pending_calls().filter(|(other, ..)| *other != process) {
            let completes = |(_, next): &Step| matches!(next.call(process), Call::Returning(_));
            rules.extend(self.steps(state, other).into_iter().filter(completes).map(|(r, _)| r));
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// Label *return*: the process is told `ret`; `None` where the state does not allow it now.
    pub fn ret(&self, state: &State, process: Process, ret: Ret) -> Option<State> {
        (*state.call(process) == Call::Returning(ret)).then(|| {
            let mut next = state.clone();
            next.set(process, Call::Running);
            next
        })
    }

    /// Label *kill*: the process is sent SIGKILL, and dies by a step of its own.
    pub fn kill(&self, state: &State, process: Process) -> State {
        let mut next = state.clone();
        if *state.call(process) != Call::Dead {
            next.dying.insert(process);
        }
        next
    }

    /// Label *crash*: the process is dead, if it was not before. Its pending call has taken effect
    /// or has not: that is decided by the steps before this label.
    pub fn crash(&self, state: &State, process: Process) -> State {
        if *state.call(process) == Call::Dead { state.clone() } else { state.crash(process) }
    }

    /// Label *time*: the deadline of the process's pending timed call passes.
    pub fn expire(&self, state: &State, process: Process) -> State {
        let mut next = state.clone();
        if let Call::Pending { expired, .. } = &mut next.calls[process.0 as usize] {
            *expired = true;
        }
        next
    }
}
