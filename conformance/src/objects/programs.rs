//! Random programs on named objects, one call at a time: the same seed gives the same program, as
//! far as the answers are the same.

use std::collections::{BTreeSet, VecDeque};
use std::marker::PhantomData;

use ipc_model::Process;
use ipc_model::machine::{History, Machine, Verdict, check};
use ipc_model::namespace::{self, Namespace};
use ipc_model::region::{self, Region};

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

    /// Calls that make an object to begin with.
    fn beginning() -> Vec<Self::Op>;

    /// The steps in which a property shows itself; none, where nobody can see it from outside.
    fn shown_by(property: &str) -> &'static [&'static str];

    /// Whether the machine explains the history.
    fn judge(history: &History<Self>) -> Verdict<Self>;

    /// The program of this seed.
    fn program(seed: u64, processes: u16) -> Program<Self> {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Program {
            beginning: Self::beginning().into(),
            state,
            left: CALLS,
            processes,
            used: BTreeSet::new(),
            dead: None,
            machine: PhantomData,
        }
    }
}

/// A program that is being played.
pub struct Program<M: Machine> {
    beginning: VecDeque<M::Op>,
    state: u64,
    left: u32,
    processes: u16,
    used: BTreeSet<(Process, char, u8)>,
    dead: Option<Process>,
    machine: PhantomData<M>,
}

impl<M: Programs> Program<M> {
    fn pick(&mut self, n: u64) -> u64 {
        // xorshift64*, Vigna 2016.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    /// The next call, and whose it is.
    pub(super) fn next(&mut self) -> Option<(Process, M::Op)> {
        if let Some(op) = self.beginning.pop_front() {
            return Some((Process(0), op));
        }
        while self.left > 0 {
            self.left -= 1;
            // One process ends, once, late in the program: by itself here, or by a kill.
            if self.dead.is_none() && self.left == CALLS / 4 && self.pick(2) == 0 {
                let process = Process(self.pick(self.processes.into()) as u16);
                self.dead = Some(process);
                return Some((process, M::exit().0));
            }
            let process = Process(self.pick(self.processes.into()) as u16);
            let op = M::random(&mut |n| self.pick(n));
            if self.may(process, &op) {
                return Some((process, op));
            }
        }
        None
    }

    /// A call of another process to make at the same time, now and then.
    pub(super) fn beside(&mut self, process: Process, op: &M::Op) -> Option<(Process, M::Op)> {
        // Who begins or ends is alone.
        if !self.beginning.is_empty() || *op == M::exit().0 {
            return None;
        }
        let other = Process((process.0 + 1) % self.processes);
        let handles = self.used.iter().filter(|(p, kind, _)| (*p, *kind) == (other, 'h'));
        let open: Vec<u8> = handles.map(|(.., slot)| *slot).collect();
        let op = match M::answering(op, &open, &mut |n| self.pick(n)) {
            Some(answer) => answer,
            None if self.pick(3) > 0 => return None,
            None => M::random(&mut |n| self.pick(n)),
        };
        (other != process && self.may(other, &op)).then_some((other, op))
    }

    /// Whether the process is alive, and the slot free that the call fills.
    fn may(&self, process: Process, op: &M::Op) -> bool {
        let taken =
            M::slots(op).0.is_some_and(|(kind, slot)| self.used.contains(&(process, kind, slot)));
        !taken && self.dead != Some(process)
    }

    /// What the call was told.
    pub(super) fn told(&mut self, process: Process, op: &M::Op, ret: &M::Ret) {
        let (fills, empties) = M::slots(op);
        if !M::took_effect(ret) {
            return;
        }
        if let Some((kind, slot)) = fills {
            self.used.insert((process, kind, slot));
        }
        if let Some((kind, slot)) = empties {
            self.used.remove(&(process, kind, slot));
        }
    }

    /// Whether the process is killed now.
    pub(super) fn kills(&mut self, process: Process) -> bool {
        let kill = self.dead.is_none() && self.left < CALLS / 5 && self.pick(6) == 0;
        if kill {
            self.dead = Some(process);
        }
        kill
    }
}

impl Programs for Region {
    fn random(pick: &mut dyn FnMut(u64) -> u64) -> region::Op {
        use region::{Access, Creation, Op};
        let (handle, mapping) = (pick(SLOTS) as u8, pick(SLOTS) as u8);
        let name = ["/a", "/a", "/b"][pick(3) as usize].to_owned();
        let access = [Access::ReadWrite, Access::ReadWrite, Access::ReadOnly][pick(3) as usize];
        let place = [0, 1, 5, 8, 100, 4095, 4096, 5000][pick(8) as usize];
        match pick(16) {
            0..=3 => Op::Open {
                name,
                creation: [Creation::Never, Creation::OrOpen, Creation::Exclusive]
                    [pick(3) as usize],
                access,
                truncate: pick(6) == 0,
                mode: [0o600, 0o606, 0o604, 0o666, 0o406][pick(5) as usize],
                handle,
            },
            4 | 5 => Op::SetSize { handle, size: [0, 6, 4096, 4097, 8192][pick(5) as usize] },
            6 => Op::GetSize { handle },
            7..=9 => Op::Attach {
                handle,
                access,
                offset: [0, 0, 0, 4096, 100][pick(5) as usize],
                length: [4096, 4096, 8192, 0][pick(4) as usize],
                mapping,
            },
            10 | 11 => Op::Read { mapping, place, length: 1 + pick(2) as u32 },
            12 | 13 => {
                let bytes = (0..=pick(2)).map(|_| pick(256) as u8).collect();
                Op::Write { mapping, place, bytes }
            }
            14 if pick(2) == 0 => Op::Detach { mapping },
            14 => Op::Close { handle },
            _ => Op::Unlink { name },
        }
    }

    fn slots(op: &region::Op) -> (Option<Slot>, Option<Slot>) {
        match op {
            region::Op::Open { handle, .. } => (Some(('h', *handle)), None),
            region::Op::Attach { mapping, .. } => (Some(('m', *mapping)), None),
            region::Op::Close { handle } => (None, Some(('h', *handle))),
            region::Op::Detach { mapping } => (None, Some(('m', *mapping))),
            _ => (None, None),
        }
    }

    fn took_effect(ret: &region::Ret) -> bool {
        matches!(ret, region::Ret::Done)
    }

    fn exit() -> (region::Op, region::Ret) {
        (region::Op::Exit, region::Ret::Done)
    }

    /// An object of 6 bytes, which end within a page, attached.
    fn beginning() -> Vec<region::Op> {
        let access = region::Access::ReadWrite;
        let (name, creation) = ("/a".into(), region::Creation::Exclusive);
        let (truncate, mode, handle, mapping) = (false, 0o606, 0, 0);
        vec![
            region::Op::Open { name, creation, access, truncate, mode, handle },
            region::Op::SetSize { handle, size: 6 },
            region::Op::Attach { handle, access, offset: 0, length: 8192, mapping },
            region::Op::Write { mapping, place: 5, bytes: vec![7, 8] },
            region::Op::Read { mapping, place: 5, length: 2 },
        ]
    }

    fn shown_by(property: &str) -> &'static [&'static str] {
        match property {
            "region.content.persists" => &[
                "region.read.attached.sees",
                "region.exit.any.releases",
                "region.attach.open.maps",
            ],
            "region.name.one-object" => {
                &["region.open.existing.opens", "region.create.exclusive.clashes"]
            }
            "region.access.after-both" => {
                &["region.read.attached.sees", "region.access.unattached.faults"]
            }
            "region.layout.free" => &["region.read.attached.sees", "region.write.attached.places"],
            // That no address matters shows in no answer; system calls are counted elsewhere.
            _ => &[],
        }
    }

    fn judge(history: &History<Self>) -> Verdict<Self> {
        region::check(history)
    }
}

impl Programs for Namespace {
    fn random(pick: &mut dyn FnMut(u64) -> u64) -> namespace::Op {
        use namespace::{Access, Creation, Op};
        let handle = pick(SLOTS) as u8;
        let odd = ["", "a", "/", "/a/b"];
        let name = match pick(12) {
            0 => odd[pick(4) as usize].to_owned(),
            1 => format!("/{}", "x".repeat(256)),
            2..=4 => "/b".into(),
            _ => "/a".into(),
        };
        match pick(19) {
            12 | 13 => Op::Wait { handle },
            14 | 15 => Op::Notify { handle },
            16 => Op::Forget { handle },
            17 | 18 => Op::Look,
            0..=4 => Op::Open {
                name,
                creation: [Creation::Never, Creation::OrOpen, Creation::Exclusive]
                    [pick(3) as usize],
                access: [Access::Both, Access::Both, Access::Put, Access::Take][pick(4) as usize],
                mode: [0o600, 0o606, 0o602, 0o604, 0o206][pick(5) as usize],
                handle,
            },
            5 | 6 => Op::Put { handle, value: pick(1 << 20) as u32 },
            7 | 8 => Op::Take { handle },
            9 | 10 => Op::Close { handle },
            _ => Op::Unlink { name },
        }
    }

    /// Whoever waits hopes for a message.
    fn answering(
        op: &namespace::Op,
        open: &[u8],
        pick: &mut dyn FnMut(u64) -> u64,
    ) -> Option<namespace::Op> {
        let waits = matches!(op, namespace::Op::Wait { .. });
        if !waits || open.is_empty() || pick(3) == 0 {
            return None;
        }
        let handle = open[pick(open.len() as u64) as usize];
        Some(namespace::Op::Put { handle, value: pick(1 << 20) as u32 })
    }

    fn slots(op: &namespace::Op) -> (Option<Slot>, Option<Slot>) {
        match op {
            namespace::Op::Open { handle, .. } => (Some(('h', *handle)), None),
            namespace::Op::Close { handle } => (None, Some(('h', *handle))),
            _ => (None, None),
        }
    }

    fn took_effect(ret: &namespace::Ret) -> bool {
        matches!(ret, namespace::Ret::Done)
    }

    fn exit() -> (namespace::Op, namespace::Ret) {
        (namespace::Op::Exit, namespace::Ret::Done)
    }

    fn beginning() -> Vec<namespace::Op> {
        let (name, creation) = ("/a".into(), namespace::Creation::Exclusive);
        let (access, mode, handle) = (namespace::Access::Both, 0o606, 0);
        vec![
            namespace::Op::Open { name, creation, access, mode, handle },
            namespace::Op::Put { handle, value: 7 },
        ]
    }

    fn shown_by(property: &str) -> &'static [&'static str] {
        match property {
            "name.unique.one-mailbox" => {
                &["name.open.existing.opens", "name.create.exclusive.clashes"]
            }
            "name.unique.two-names" => &["name.take.message.takes", "name.take.empty.refused"],
            "name.mailbox.persists" => &[
                "name.take.message.takes",
                "name.exit.any.releases",
                "name.unlink.existing.removes",
            ],
            _ => &[],
        }
    }

    fn judge(history: &History<Self>) -> Verdict<Self> {
        check(history)
    }
}
