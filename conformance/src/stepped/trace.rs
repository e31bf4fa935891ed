//! One operation, stepped through: where it touches what others see, and how to stand at any of
//! its instructions again in another world.

use nix::unistd::Pid;

use super::Trouble;
use super::control::Meeting;
use super::decode::Kind;
use super::shared::{Shared, is_visible, remaps};
use super::tracer::{Patience, Sleep, Stop, Tracer};

/// Above so many instructions an operation is not stepped to its end.
pub(super) const LONGEST: usize = 200_000;

/// When an operation is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// After so many instructions.
    pub(super) instructions: usize,
    /// After saying so many times that it waits.
    pub(super) pauses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { instructions: LONGEST, pauses: usize::MAX }
    }
}

/// An operation, instruction by instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    /// The address of each instruction. A position in the operation is an index into this: where
    /// the instruction there is the next to be executed. The last position stands behind the
    /// last instruction.
    pub(super) path: Vec<u64>,
    /// Whether the instruction there is one iteration of a repeated one.
    repeated: Vec<bool>,
    /// The accesses to what others see, oldest first.
    pub(super) accesses: Vec<Access>,
    /// The system calls, by position and number.
    pub(super) calls: Vec<(usize, u64)>,
    /// Where it says that it waits by spinning.
    pub(super) pauses: Vec<usize>,
    /// How it ended.
    pub(super) end: Ending,
}

/// How an operation that is stepped through ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It returned.
    Returned,
    /// It sleeps, in the system call at the last position but one.
    Asleep(Sleep),
    /// It died by itself: signal or exit code.
    Gone(Result<i32, nix::sys::signal::Signal>),
    /// It was given up: see [`Limits`].
    TooLong,
}

/// An access to what others see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// The position of the instruction.
    pub(super) position: usize,
    /// Whether it writes.
    pub(super) writes: bool,
    /// How many bytes.
    pub(super) length: u64,
    /// Which mapping, as procfs names it, and where in what is mapped.
    pub(super) place: (String, u64),
}

/// Steps from where the process stands at [`Meeting::Begin`] to the end of its operation.
pub(super) fn through(
    tracer: &mut Tracer,
    pid: Pid,
    patience: Patience,
    limits: Limits,
) -> Result<Trace, Trouble> {
    let mut shared = Shared::of(pid).map_err(Trouble::Broken)?;
    let mut trace = Trace {
        path: Vec::new(),
        repeated: Vec::new(),
        accesses: Vec::new(),
        calls: Vec::new(),
        pauses: Vec::new(),
        end: Ending::TooLong,
    };
    while trace.path.len() < limits.instructions && trace.pauses.len() < limits.pauses {
        let registers = tracer.registers(pid)?;
        let decoded = tracer.instruction(pid, registers.rip)?;
        let (position, kind) = (trace.path.len(), decoded.kind);
        for reach in decoded.reaches(&registers) {
            if let Some(mapping) = shared.find(reach.address, reach.length) {
                let at = reach.address.saturating_sub(mapping.range.start) + mapping.offset;
                let place = (mapping.name.clone(), at);
                let (writes, length) = (reach.writes, reach.length);
                trace.accesses.push(Access { position, writes, length, place });
            }
        }
        let stop = match kind {
            Kind::Trap => tracer.go(pid)?,
            Kind::SystemCall => tracer.step_call(pid, patience)?,
            _ => tracer.step(pid)?,
        };
        if stop == Stop::Meeting(Meeting::End) {
            trace.end = Ending::Returned;
            break;
        }
        trace.path.push(registers.rip);
        trace.repeated.push(kind == Kind::Repeated);
        match kind {
            Kind::SystemCall => {
                trace.calls.push((position, registers.rax));
                if stop == Stop::Stepped && remaps(registers.rax) {
                    shared = Shared::of(pid).map_err(Trouble::Broken)?;
                }
            }
            Kind::Pause => trace.pauses.push(position),
            _ => {}
        }
        match stop {
            Stop::Stepped => {}
            Stop::Asleep(sleep) => {
                trace.end = Ending::Asleep(sleep);
                break;
            }
            Stop::Gone(how) => {
                trace.end = Ending::Gone(how);
                break;
            }
            other => return Err(Trouble::Broken(format!("an operation stops so: {other:?}"))),
        }
    }
    Ok(trace)
}

impl Trace {
    /// The positions that a killed process can be told apart at: before the first instruction,
    /// and behind everything that others can see. Between two of them only private memory
    /// changes, which dies with the process.
    pub(super) fn crash_points(&self) -> Vec<usize> {
        let writes = self.accesses.iter().filter(|a| a.writes).map(|a| a.position + 1);
        let calls = self.calls.iter().filter(|(_, n)| is_visible(*n)).map(|(at, _)| at + 1);
        self.points(std::iter::once(0).chain(writes).chain(calls).collect())
    }

    /// The positions at which another process's progress can make a difference: before every
    /// access to what others see, every visible system call, and every pause.
    pub(super) fn switch_points(&self) -> Vec<usize> {
        let accesses = self.accesses.iter().map(|a| a.position);
        let calls = self.calls.iter().filter(|(_, n)| is_visible(*n)).map(|(at, _)| *at);
        self.points(accesses.chain(calls).chain(self.pauses.iter().copied()).collect())
    }

    /// Every position.
    pub(super) fn all_points(&self) -> Vec<usize> {
        self.points((0..=self.path.len()).collect())
    }

    fn points(&self, mut points: Vec<usize>) -> Vec<usize> {
        points.sort_unstable();
        points.dedup();
        if let Ending::Asleep(_) = self.end {
            // The position behind the call that it sleeps in is never reached.
            points.retain(|p| *p < self.path.len());
        }
        points
    }

    /// Goes, from [`Meeting::Begin`] in a fresh world, to this position of the same operation.
    pub(super) fn follow(
        &self,
        tracer: &mut Tracer,
        pid: Pid,
        position: usize,
    ) -> Result<(), Trouble> {
        let (from, hits) = self.nearest(position);
        if from > 0 {
            let at = self.path[from];
            tracer.plant(pid, at)?;
            for hit in 1..=hits {
                match tracer.go(pid)? {
                    Stop::Planted(address) if address == at => {}
                    stop => return Err(self.diverged(position, &stop)),
                }
                tracer.uproot(pid, at)?;
                if hit < hits {
                    self.step(tracer, pid, position)?;
                    tracer.plant(pid, at)?;
                }
            }
        }
        for _ in from..position {
            self.step(tracer, pid, position)?;
        }
        let found = tracer.registers(pid)?.rip;
        match self.path.get(position) {
            Some(expected) if *expected != found => Err(Trouble::Diverged(format!(
                "position {position} is at {expected:#x}, but this time at {found:#x}"
            ))),
            _ => Ok(()),
        }
    }

    fn step(&self, tracer: &mut Tracer, pid: Pid, position: usize) -> Result<(), Trouble> {
        let at = tracer.registers(pid)?.rip;
        let stop = match tracer.instruction(pid, at)?.kind {
            Kind::SystemCall => tracer.step_call(pid, Patience::default())?,
            _ => tracer.step(pid)?,
        };
        if stop == Stop::Stepped { Ok(()) } else { Err(self.diverged(position, &stop)) }
    }

    fn diverged(&self, position: usize, stop: &Stop) -> Trouble {
        Trouble::Diverged(format!("on the way to position {position} it stops so: {stop:?}"))
    }

    /// The cheapest way to a position: the position to run to by a breakpoint (0: none), and how
    /// often that is hit on the way. The rest is stepped.
    fn nearest(&self, position: usize) -> (usize, usize) {
        /// A hit that is passed over costs a stop, a step, and planting again.
        const HIT: usize = 3;
        /// No breakpoint is looked for further back than this.
        const FAR: usize = 400;
        let mut best = (0, 0, position);
        let last = position.min(self.path.len().saturating_sub(1));
        for from in (position.saturating_sub(FAR).max(1)..=last).rev() {
            let steps = position - from;
            if steps + HIT >= best.2 {
                break;
            }
            // A breakpoint on a repeated instruction is hit once, not at each iteration.
            if self.repeated[from] || self.path[from] == self.path[0] {
                continue;
            }
            let hits = self.path[..=from].iter().filter(|at| **at == self.path[from]).count();
            if steps + HIT * hits < best.2 {
                best = (from, hits, steps + HIT * hits);
            }
        }
        (best.0, best.1)
    }
}
