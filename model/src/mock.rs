//! The specification itself, served as a link: it obeys every rule by construction, so whatever
//! the suite holds against it is a fault of the suite. With a mutation it breaks one rule on
//! purpose, so whatever the suite does not hold against it is one too.

use crate::op::{Message, Mode, Op, Process, Ret};
use crate::profile::Capacity;
use crate::rule::Kind;
use crate::spec::Spec;
use crate::state::{Call, Link, State};

/// A link that is nothing but its specification. It never waits: a caller asks again after
/// anything has changed.
#[derive(Clone, Debug)]
pub struct Mock {
    spec: Spec,
    state: State,
    /// Counts choices, so that where several outcomes are allowed all of them occur.
    choices: usize,
}

impl Mock {
    /// A system of this specification, with no link and nobody in it yet.
    pub fn new(spec: Spec) -> Self {
        Self { spec, state: State::new(0, &[]), choices: 0 }
    }

    /// Adds a link; answers its number.
    pub fn add_link(&mut self) -> u8 {
        self.state.links.push(Link::default());
        self.state.links.len() as u8 - 1
    }

    /// Gives the process ends of a link.
    pub fn open(&mut self, process: Process, link: u8, sends: bool, receives: bool) {
        let width = self.state.calls.len().max(process.0 as usize + 1);
        self.state.calls.resize(width, Call::Running);
        let link = &mut self.state.links[link as usize];
        if sends {
            link.senders.insert(process);
        }
        if receives {
            link.receivers.insert(process);
        }
    }

    /// Whether the process has not been killed.
    pub fn is_alive(&self, process: Process) -> bool {
        *self.state.call(process) != Call::Dead
    }

    /// Whether the message is on its way in or out, or waits in a link: it may still be received.
    pub fn holds(&self, sender: Process, sequence: u32) -> bool {
        let same = |m: &Message| (m.sender, m.sequence) == (sender, sequence);
        let waits = self.state.links.iter().flat_map(|l| &l.queue).any(|w| same(&w.message));
        let on_its_way = |call: &Call| match call {
            Call::Pending { op, .. } => op.message().is_some_and(|m| same(&m)),
            Call::Returning(Ret::Received(message)) => same(message),
            _ => false,
        };
        waits || self.state.calls.iter().any(on_its_way)
    }

    /// The process calls.
    pub fn call(&mut self, process: Process, op: Op) {
        self.state = self.spec.call(&self.state, process, op);
    }

    /// What the process's call is told, if it is told anything yet. `expired`: its deadline has
    /// passed.
    pub fn poll(&mut self, process: Process, expired: bool) -> Option<Ret> {
        self.settle();
        if let Call::Pending { op, .. } = *self.state.call(process) {
            if expired && op.mode() == Mode::Timed {
                self.state = self.spec.expire(&self.state, process);
            }
            self.step(process);
        }
        match *self.state.call(process) {
            Call::Returning(ret) => {
                self.state.set(process, Call::Running);
                Some(ret)
            }
            _ => None,
        }
    }

    /// The process is killed.
    pub fn kill(&mut self, process: Process) {
        self.state = self.spec.crash(&self.state, process);
        self.settle();
    }

    /// Takes a step of the process's, one that lets it return before one that puts it to sleep.
    fn step(&mut self, process: Process) {
        let mut steps = self.spec.steps(&self.state, process);
        let waits = |(rule, _): &(crate::RuleId, State)| rule.rule().kind != Kind::Completes;
        if self.is_full() && steps.iter().any(waits) {
            steps.retain(waits);
        }
        if steps.iter().any(|(rule, _)| rule.rule().kind != Kind::Blocks) {
            steps.retain(|(rule, _)| rule.rule().kind != Kind::Blocks);
        }
        if !steps.is_empty() {
            self.choices += 1;
            let chosen = self.choices % steps.len();
            self.state = steps.swap_remove(chosen).1;
        }
    }

    /// A link that does not say how much it holds holds this many here.
    fn is_full(&self) -> bool {
        const HOLDS: usize = 4;
        matches!(self.spec.profile.capacity, Capacity::AtLeast(_))
            && self.state.links.iter().any(|l| l.queue.len() >= HOLDS)
    }

    /// Lets the system do what it does by itself.
    fn settle(&mut self) {
        for p in (0..self.state.calls.len() as u16).map(Process) {
            while *self.state.call(p) == Call::Dead {
                match self.spec.steps(&self.state, p).pop() {
                    Some((_, next)) => self.state = next,
                    None => break,
                }
            }
        }
    }
}
