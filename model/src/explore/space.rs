//! The transition system of a scenario: its states, and what may happen next in each of them.

use crate::explore::Outcome;
use crate::op::{Mode, Process, Ret};
use crate::profile::Capacity;
use crate::rule::RuleId;
use crate::scenario::{Scenario, Step};
use crate::spec::Spec;
use crate::state::{Call, State};

/// A state of the scenario: where the system is, and how far each script has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub(super) state: State,
    /// The next step of each script.
    pub(super) next: Box<[u16]>,
    /// What each process has been told so far: one place for each call of the scenario, the calls
    /// of the first process first.
    told: Box<[Option<Ret>]>,
}

/// What leads from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The process, or the system on its behalf, takes a step by this rule.
    Step(Process, RuleId),
    /// The process makes the next call of its script.
    Call(Process),
    /// The process is told what its call came to.
    Return(Process, Ret),
    /// The deadline of the process's call passes.
    Time(Process),
    /// The process has waited for long enough.
    Go(Process),
    /// The process is sent SIGKILL.
    Kill(Process),
}

/// The transition system of one scenario on one link. [`super::explore`] walks it; so may any
/// other explorer, as the benchmark does that compares them.
#[derive(Clone, Debug)]
pub struct Space<'a> {
    pub(super) spec: &'a Spec,
    pub(super) scenario: &'a Scenario,
    pub(super) reduced: bool,
    /// Where the places of each process begin in [`Node::told`], and where the last ones end.
    begins: Vec<usize>,
}

impl<'a> Space<'a> {
    /// All of it, or, `reduced`, without the interleavings that cannot make a difference (see
    /// [`super::Limit::reduced`]).
    pub fn new(spec: &'a Spec, scenario: &'a Scenario, reduced: bool) -> Self {
        let mut begins = vec![0];
        for p in 0..scenario.width() as u16 {
            begins.push(begins[p as usize] + scenario.calls(Process(p)).count());
        }
        Self { spec, scenario, reduced, begins }
    }

    /// Nobody has done anything yet.
    pub fn start(&self) -> Node {
        let width = self.scenario.width();
        Node {
            state: State::new(width, &self.scenario.links),
            next: vec![0; width].into(),
            told: vec![None; self.begins[width]].into(),
        }
    }

    /// Everything that may happen next. Nothing: the scenario ends here.
    pub fn successors(&self, node: &Node) -> Vec<(Label, Node)> {
        let mut successors = Vec::new();
        let becomes = |state| Node { state, next: node.next.clone(), told: node.told.clone() };
        for p in (0..self.scenario.width() as u16).map(Process) {
            if let Some((label, next, commutes)) = self.own(node, p) {
                if commutes && self.reduced {
                    return vec![(label, next)];
                }
                successors.push((label, next));
            }
            for (rule, state) in self.spec.steps(&node.state, p) {
                successors.push((Label::Step(p, rule), becomes(state)));
            }
            if let Call::Pending { op, expired: false, .. } = node.state.call(p)
                && op.mode() == Mode::Timed
            {
                successors.push((Label::Time(p), becomes(self.spec.expire(&node.state, p))));
            }
        }
        successors
    }

    /// What an observer has seen by now, and who is in a call.
    pub fn outcome(&self, node: &Node) -> Outcome {
        let all = || (0..self.scenario.width() as u16).map(Process);
        let stuck = |p: &Process| matches!(node.state.call(*p), Call::Pending { .. });
        Outcome {
            told: all().map(|p| self.told(node, p).collect()).collect(),
            blocked: all().filter(stuck).collect(),
        }
    }

    /// What the process has been told, call by call.
    pub(super) fn told<'n>(&self, node: &'n Node, p: Process) -> impl Iterator<Item = Ret> + 'n {
        let places = self.begins[p.0 as usize]..self.begins[p.0 as usize + 1];
        node.told[places].iter().map_while(|ret| *ret)
    }

    /// What the process does by itself next, and whether that commutes with all that others do.
    fn own(&self, node: &Node, p: Process) -> Option<(Label, Node, bool)> {
        let i = p.0 as usize;
        if let Call::Returning(ret) = *node.state.call(p) {
            let state = self.spec.ret(&node.state, p, ret)?;
            let place = self.begins[i] + self.told(node, p).count();
            let mut next = Node { state, next: node.next.clone(), told: node.told.clone() };
            next.told[place] = Some(ret);
            return Some((Label::Return(p, ret), next, true));
        }
        if *node.state.call(p) != Call::Running {
            return None;
        }
        let step = *self.scenario.processes[i].0.get(node.next[i] as usize)?;
        let becomes = |state, forward: u16| {
            let mut next = Node { state, next: node.next.clone(), told: node.told.clone() };
            next.next[i] += forward;
            next
        };
        let goes_on = || becomes(node.state.clone(), 1);
        match step {
            Step::Call(op) => {
                let next = becomes(self.spec.call(&node.state, p, op), 1);
                let buffered = self.spec.profile.capacity != Capacity::Zero;
                Some((Label::Call(p), next, buffered))
            }
            Step::AwaitBlocked { process, call } => {
                let returned = self.told(node, process).count() as u32;
                let asleep =
                    matches!(node.state.call(process), Call::Pending { blocked: true, .. })
                        && (call == returned || call == Step::ANY_CALL);
                let past = call != Step::ANY_CALL && returned > call;
                let over =
                    past || *node.state.call(process) == Call::Dead || self.done(node, process);
                // Asleep can end again, so going on by that does not commute with waking up.
                (asleep || over).then(|| (Label::Go(p), goes_on(), over))
            }
            Step::AwaitReturn { process, call } => {
                let returned = self.told(node, process).count() as u32 > call;
                let dead = *node.state.call(process) == Call::Dead;
                (returned || dead).then(|| (Label::Go(p), goes_on(), true))
            }
            Step::Kill { process } if *node.state.call(process) == Call::Dead => {
                Some((Label::Go(p), goes_on(), true))
            }
            Step::Kill { process } => {
                // The killer stays at this step until its victim is dead.
                let state = self.spec.kill(&node.state, process);
                (state != node.state).then(|| (Label::Kill(process), becomes(state, 0), false))
            }
        }
    }

    fn done(&self, node: &Node, p: Process) -> bool {
        let i = p.0 as usize;
        *node.state.call(p) == Call::Running
            && node.next[i] as usize == self.scenario.processes[i].0.len()
    }
}
