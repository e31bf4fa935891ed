//! Random programs on named objects, one step at a time: the same seed gives the same program, as
//! far as the answers are the same.

mod memory;
mod names;

use std::collections::{BTreeSet, VecDeque};
use std::marker::PhantomData;

use ipc_model::Process;
use ipc_model::machine::{History, Machine, Verdict};
use serde::{Deserialize, Serialize};

/// How many calls a program makes.
const CALLS: u32 = 48;
/// Slots for handles, and for mappings, of one process.
const SLOTS: u64 = 3;

/// A place for a handle or a mapping: which of the two, and its number.
pub(super) type Slot = (char, u8);

/// A machine that programs can be written for.
pub trait Programs: Machine {
    /// A random call. `pick(n)` chooses a number below n.
    fn random(pick: &mut dyn FnMut(u64) -> u64) -> Self::Op;

    /// The call that this one hopes for, by a process with these open handles: to be made at the
    /// same time.
    fn answering(
        _op: &Self::Op,
        _open: &[u8],
        _pick: &mut dyn FnMut(u64) -> u64,
    ) -> Option<Self::Op> {
        None
    }

    /// The slots that the call fills, and those that it empties.
    fn slots(op: &Self::Op) -> (Option<Slot>, Option<Slot>);

    /// Whether the call took effect.
    fn took_effect(ret: &Self::Ret) -> bool;

    /// The last call of a process that ends by itself, and what it is told.
    fn exit() -> (Self::Op, Self::Ret);

    /// Whether the call is one step of the model for whoever offers it. Others may be several, and
    /// are not made at the same time as any other call.
    fn is_one_step(op: &Self::Op) -> bool;

    /// Calls that make an object to begin with.
    fn beginning() -> Vec<Self::Op>;

    /// Calls that leave each of so many processes with a handle in slot 0 of one object, which has
    /// no name; none, where there are no such objects.
    fn nameless(_processes: u16) -> Vec<(Process, Self::Op, Self::Ret)> {
        Vec::new()
    }

    /// The steps in which a property shows itself; none, where nobody can see it from outside.
    fn shown_by(property: &str) -> &'static [&'static str];

    /// Whether the machine explains the history.
    fn judge(history: &History<Self>) -> Verdict<Self>;
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "", rename_all = "snake_case")]
pub enum Step<M: Machine> {
    /// A process makes a call, and nobody else makes one.
    Call(Process, M::Op),
    /// Two processes make a call each, at the same time.
    AtOnce([(Process, M::Op); 2]),
    /// The process is killed, outside of any call.
    Kill(Process),
}

/// Where the steps of a program come from.
pub(super) trait Source<M: Machine> {
    /// The next step.
    fn next(&mut self) -> Option<Step<M>>;

    /// What a call was told.
    fn told(&mut self, process: Process, op: &M::Op, ret: &M::Ret);
}

/// Which slots are in use, and which processes have ended: nobody fills a slot twice, and nobody
/// calls who is dead.
struct Slots<M> {
    used: BTreeSet<(Process, char, u8)>,
    dead: BTreeSet<Process>,
    machine: PhantomData<M>,
}

impl<M: Programs> Slots<M> {
    fn new() -> Self {
        Self { used: BTreeSet::new(), dead: BTreeSet::new(), machine: PhantomData }
    }

    /// Whether the process is alive, and the slot free that the call fills.
    fn allow(&self, process: Process, op: &M::Op) -> bool {
        let used = |(kind, slot)| self.used.contains(&(process, kind, slot));
        !M::slots(op).0.is_some_and(used) && !self.dead.contains(&process)
    }

    fn told(&mut self, process: Process, op: &M::Op, ret: &M::Ret) {
        if !M::took_effect(ret) {
            return;
        }
        if *op == M::exit().0 {
            self.dead.insert(process);
        }
        let (fills, empties) = M::slots(op);
        if let Some((kind, slot)) = fills {
            self.used.insert((process, kind, slot));
        }
        if let Some((kind, slot)) = empties {
            self.used.remove(&(process, kind, slot));
        }
    }
}

/// A random program that is being played.
pub(super) struct Program<M: Machine> {
    beginning: VecDeque<M::Op>,
    state: u64,
    left: u32,
    processes: u16,
    /// Whether calls of several steps are made at the same time as others, too.
    all_at_once: bool,
    slots: Slots<M>,
    /// Whose step it was last, of the two at once the first.
    last: Option<Process>,
    /// Whether one has ended; no other one does.
    ended: bool,
}

impl<M: Programs> Program<M> {
    /// The program of this seed. `all_at_once`: whether every call is one step.
    pub(super) fn new(seed: u64, processes: u16, all_at_once: bool) -> Self {
        Self {
            beginning: M::beginning().into(),
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            left: CALLS,
            processes,
            all_at_once,
            slots: Slots::new(),
            last: None,
            ended: false,
        }
    }

    fn pick(&mut self, n: u64) -> u64 {
        // xorshift64*, Vigna 2016.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    /// The next call, and whose it is.
    fn call(&mut self) -> Option<(Process, M::Op)> {
        if let Some(op) = self.beginning.pop_front() {
            return Some((Process(0), op));
        }
        while self.left > 0 {
            self.left -= 1;
            // One process ends, once, late in the program: by itself here, or by a kill.
            if !self.ended && self.left == CALLS / 4 && self.pick(2) == 0 {
                let process = Process(self.pick(self.processes.into()) as u16);
                self.ended = true;
                return Some((process, M::exit().0));
            }
            let process = Process(self.pick(self.processes.into()) as u16);
            let op = M::random(&mut |n| self.pick(n));
            if self.slots.allow(process, &op) {
                return Some((process, op));
            }
        }
        None
    }

    /// A call of another process to make at the same time, now and then.
    fn beside(&mut self, process: Process, op: &M::Op) -> Option<(Process, M::Op)> {
        // Who begins or ends is alone.
        if !self.beginning.is_empty() || *op == M::exit().0 {
            return None;
        }
        let other = Process((process.0 + 1) % self.processes);
        let handles = self.slots.used.iter().filter(|(p, kind, _)| (*p, *kind) == (other, 'h'));
        let open: Vec<u8> = handles.map(|(.., slot)| *slot).collect();
        let beside = match M::answering(op, &open, &mut |n| self.pick(n)) {
            Some(answer) => answer,
            None if self.pick(3) > 0 => return None,
            None => M::random(&mut |n| self.pick(n)),
        };
        let short = self.all_at_once || (M::is_one_step(op) && M::is_one_step(&beside));
        let allowed = short && other != process && self.slots.allow(other, &beside);
        allowed.then_some((other, beside))
    }

    /// Whether the process whose step it was last is killed now.
    fn kills(&mut self) -> bool {
        let kill = !self.ended && self.left < CALLS / 5 && self.pick(6) == 0;
        self.ended |= kill;
        kill
    }
}

impl<M: Programs> Source<M> for Program<M> {
    fn next(&mut self) -> Option<Step<M>> {
        if let Some(process) = self.last.take()
            && self.kills()
        {
            self.slots.dead.insert(process);
            return Some(Step::Kill(process));
        }
        let (process, op) = self.call()?;
        self.last = Some(process);
        Some(match self.beside(process, &op) {
            None => Step::Call(process, op),
            Some(beside) => Step::AtOnce([(process, op), beside]),
        })
    }

    fn told(&mut self, process: Process, op: &M::Op, ret: &M::Ret) {
        self.slots.told(process, op, ret);
    }
}

/// A program that was written down, as far as it can still be played: steps of one that fills a
/// slot twice, or that has ended, are left out.
pub(super) struct Script<'s, M: Machine> {
    steps: std::slice::Iter<'s, Step<M>>,
    slots: Slots<M>,
}

impl<'s, M: Programs> Script<'s, M> {
    pub(super) fn new(steps: &'s [Step<M>]) -> Self {
        Self { steps: steps.iter(), slots: Slots::new() }
    }
}

impl<M: Programs> Source<M> for Script<'_, M> {
    fn next(&mut self) -> Option<Step<M>> {
        loop {
            let step = self.steps.next()?;
            let playable = match step {
                Step::Call(process, op) => self.slots.allow(*process, op),
                Step::AtOnce([(p, first), (q, second)]) => {
                    p != q && self.slots.allow(*p, first) && self.slots.allow(*q, second)
                }
                Step::Kill(process) => self.slots.dead.insert(*process),
            };
            if playable {
                return Some(step.clone());
            }
        }
    }

    fn told(&mut self, process: Process, op: &M::Op, ret: &M::Ret) {
        self.slots.told(process, op, ret);
    }
}
