//! One operation, stepped through: where it touches what others see, and how to stand at any of
//! its instructions again in another world.

mod spin;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Trouble;
use super::control::Meeting;
use super::decode::Kind;
use super::shared::{Shared, is_visible, remaps};
use super::time::Sleep;
use super::tracer::{Patience, Stop, Tracer};

pub(super) use way::follow;

/// Above so many instructions an operation is not stepped to its end.
pub(super) const LONGEST: usize = 200_000;

/// Above so many it is given up even where it only waits in a loop.
const FARTHEST: usize = 10 * LONGEST;

/// From so many instructions on an operation that shares no memory is stopped at its system calls
/// only.
const LONG: usize = 10_000;

/// What is said of an operation that is longer.
pub(super) fn too_long(instructions: usize) -> Trouble {
    Trouble::TooLong(format!(
        "it takes more than {instructions} instructions, one stop each; have the adapter claim \
         smaller messages, or leave it to the runs by processes"
    ))
}

/// When an operation is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// After so many instructions.
    pub(super) instructions: usize,
    /// After saying so many times that it waits.
    pub(super) pauses: usize,
    /// Where it first sleeps, though time might wake it.
    pub(super) brief: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { instructions: LONGEST, pauses: usize::MAX, brief: false }
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
    /// What is shared after each write: a number that is the same if all is as it was then.
    states: Vec<(usize, u64)>,
    /// The system calls, by position and number.
    pub(super) calls: Vec<(usize, u64)>,
    /// Where it says that it waits by spinning.
    pub(super) pauses: Vec<usize>,
    /// Rounds of loops that change nothing, which it went without a stop at each instruction: what
    /// is done there has been stepped in the rounds before.
    rounds: Vec<Range<usize>>,
    /// From this position on the path holds system calls only: it is long, and shares no memory,
    /// so that nothing else can be told apart.
    pub(super) calls_only: Option<usize>,
    /// How it ended.
    pub(super) end: Ending,
    /// Where it stood then.
    stand: u64,
}

/// How an operation that is stepped through ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It returned.
    Returned,
    /// It sleeps, in the system call at the last position but one.
    Asleep(Sleep),
    /// It died by itself: signal or exit code.
    Gone(Result<i32, Signal>),
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

/// Where two lists first differ, in words.
fn first_difference<T: PartialEq>(
    of_what: &str,
    these: &[T],
    others: &[T],
    word: impl Fn(&T) -> String,
) -> Option<String> {
    let most = these.len().max(others.len());
    let at = (0..most).find(|i| these.get(*i) != others.get(*i))?;
    let word = |list: &[T]| list.get(at).map_or_else(|| "none".into(), &word);
    let (this, other, number) = (word(these), word(others), at + 1);
    Some(format!("{of_what} number {number} was {this}, and is {other}"))
}

/// Steps from where the process stands at [`Meeting::Begin`] to the end of its operation.
pub(super) fn through(tracer: &mut Tracer, pid: Pid, limits: Limits) -> Result<Trace, Trouble> {
    let patience = Patience { brief: limits.brief, ..Patience::default() };
    let mut shared = Shared::of(pid).map_err(Trouble::Broken)?;
    let mut trace = Trace {
        path: Vec::new(),
        repeated: Vec::new(),
        accesses: Vec::new(),
        states: Vec::new(),
        calls: Vec::new(),
        pauses: Vec::new(),
        rounds: Vec::new(),
        calls_only: None,
        end: Ending::TooLong,
        stand: 0,
    };
    let mut slept: Vec<u64> = Vec::new();
    let mut changes = Changes::default();
    while trace.path.len() - trace.in_rounds() < limits.instructions
        && trace.path.len() < FARTHEST
        && trace.pauses.len() < limits.pauses
    {
        if trace.path.len() == LONG && !shared.is_any() {
            to_end_by_calls(tracer, pid, patience, &mut trace)?;
            break;
        }
        let registers = tracer.registers(pid)?;
        let decoded = tracer.instruction(pid, registers.rip)?;
        let (position, kind) = (trace.path.len(), decoded.kind);
        let mut written = Vec::new();
        for reach in decoded.reaches(&registers) {
            if let Some(mapping) = shared.find(reach.address, reach.length) {
                let at = reach.address.saturating_sub(mapping.range.start) + mapping.offset;
                let place = (mapping.name.clone(), at);
                let (writes, length) = (reach.writes, reach.length);
                written.extend(writes.then_some((reach.address, length)));
                trace.accesses.push(Access { position, writes, length, place });
            }
        }
        changes.before(tracer, pid, &written)?;
        let stop = match kind {
            Kind::Trap => tracer.go(pid)?,
            Kind::SystemCall => {
                // Back where it slept before, it goes round: it waits, in slices of time.
                let again = slept.contains(&registers.rip);
                let brief = Patience { brief: patience.brief || again, ..patience };
                let stop = tracer.step_call(pid, brief)?;
                slept.extend(tracer.slept.then_some(registers.rip));
                stop
            }
            _ => tracer.step(pid)?,
        };
        if stop == Stop::Meeting(Meeting::End) {
            trace.end = Ending::Returned;
            trace.stand = registers.rip;
            break;
        }
        trace.path.push(registers.rip);
        trace.repeated.push(kind == Kind::Repeated);
        if !written.is_empty() && stop == Stop::Stepped {
            let state = changes.after(tracer, pid, &written)?;
            trace.states.push((position, state));
        }
        match kind {
            Kind::SystemCall => {
                trace.calls.push((position, registers.rax));
                if registers.rax as i64 == libc::SYS_sched_yield {
                    trace.pauses.push(position);
                }
                if stop == Stop::Stepped && remaps(registers.rax) {
                    shared = Shared::of(pid).map_err(Trouble::Broken)?;
                }
            }
            Kind::Pause => trace.pauses.push(position),
            _ => {}
        }
        if kind == Kind::Pause && limits.pauses == usize::MAX {
            spin::spin(tracer, pid, &mut trace)?;
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

/// Lets the process run on to the end of its operation, and writes down its system calls.
fn to_end_by_calls(
    tracer: &mut Tracer,
    pid: Pid,
    patience: Patience,
    trace: &mut Trace,
) -> Result<(), Trouble> {
    trace.calls_only = Some(trace.path.len());
    let patience = Patience { running: Duration::from_secs(2), ..patience };
    loop {
        match tracer.run_to_call(pid, patience)? {
            Stop::Meeting(Meeting::End) => {
                trace.end = Ending::Returned;
                // Behind the trap, where it stands.
                trace.stand = tracer.registers(pid)?.rip;
                return Ok(());
            }
            Stop::Call => {}
            // Which Rust's programs ignore.
            Stop::Signal(Signal::SIGPIPE) => continue,
            Stop::Gone(how) => {
                trace.end = Ending::Gone(how);
                return Ok(());
            }
            Stop::Spins => return Ok(()),
            other => return Err(Trouble::Broken(format!("an operation stops so: {other:?}"))),
        }
        let registers = tracer.registers(pid)?;
        trace.calls.push((trace.path.len(), registers.orig_rax));
        trace.path.push(registers.rip - CALL);
        trace.repeated.push(false);
        match tracer.run_to_call(pid, patience)? {
            Stop::Call
                if remaps(registers.orig_rax) && Shared::of(pid).is_ok_and(|s| s.is_any()) =>
            {
                let why = "a long operation that begins to share memory cannot be stepped";
                return Err(Trouble::TooLong(why.into()));
            }
            Stop::Call => {}
            Stop::Asleep(sleep) => {
                trace.end = Ending::Asleep(sleep);
                return Ok(());
            }
            Stop::Gone(how) => {
                trace.end = Ending::Gone(how);
                return Ok(());
            }
            other => return Err(Trouble::Broken(format!("a system call stops so: {other:?}"))),
        }
    }
}

/// The length of `syscall`.
const CALL: u64 = 2;

/// What an operation has changed of what is shared.
#[derive(Default)]
struct Changes {
    /// The bytes that it writes to: as they were, and as they are.
    bytes: BTreeMap<u64, (u8, u8)>,
}

impl Changes {
    /// The instruction is going to write there.
    fn before(&mut self, tracer: &Tracer, pid: Pid, to: &[(u64, u64)]) -> Result<(), Trouble> {
        for (address, length) in to {
            for (at, byte) in (*address..).zip(tracer.read(pid, *address, *length)?) {
                self.bytes.entry(at).or_insert((byte, byte));
            }
        }
        Ok(())
    }

    /// It has written; answers a number of all that is not as it was at the beginning.
    fn after(&mut self, tracer: &Tracer, pid: Pid, to: &[(u64, u64)]) -> Result<u64, Trouble> {
        for (address, length) in to {
            for (at, byte) in (*address..).zip(tracer.read(pid, *address, *length)?) {
                self.bytes.entry(at).and_modify(|(_, now)| *now = byte);
            }
        }
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for (at, (_, now)) in self.bytes.iter().filter(|(_, (was, now))| was != now) {
            hash.update(&at.to_le_bytes());
            hash.update(&[*now]);
        }
        Ok(hash.digest())
    }
}

impl Trace {
    /// What is shared when the process stands at this position; `None`: as at the beginning.
    fn state_at(&self, position: usize) -> Option<u64> {
        let written = self.states.partition_point(|(at, _)| *at < position);
        self.states[..written].last().map(|(_, state)| *state)
    }

    /// The positions that a killed process can be told apart at: before the first instruction,
    /// and behind everything that others can see. Between two of them only private memory
    /// changes, which dies with the process. Where all that is shared is as it was at an earlier
    /// one, and no system call has been made since that others can see, nobody can tell them
    /// apart.
    pub(super) fn crash_points(&self) -> Vec<usize> {
        let mut points = vec![0];
        let mut known = BTreeSet::new();
        let visible: Vec<usize> =
            self.calls.iter().filter(|(_, n)| is_visible(*n)).map(|(at, _)| *at).collect();
        points.extend(visible.iter().map(|at| at + 1));
        let untouched = xxhash_rust::xxh3::Xxh3::new().digest();
        known.insert((0, untouched));
        for (position, state) in &self.states {
            let calls = visible.partition_point(|at| at < position);
            if known.insert((calls, *state)) {
                points.push(position + 1);
            }
        }
        self.points(points)
    }

    /// The positions at which another process's progress can make a difference: before every
    /// access to what others see, every visible system call, and every pause.
    pub(super) fn switch_points(&self) -> Vec<usize> {
        let accesses = self.accesses.iter().map(|a| a.position);
        let calls = self.calls.iter().filter(|(_, n)| is_visible(*n)).map(|(at, _)| *at);
        self.points(accesses.chain(calls).chain(self.pauses.iter().copied()).collect())
    }

    /// What the other did first that this did not, of what others see; however long it took.
    pub(super) fn differs_from(&self, other: &Self) -> Option<String> {
        let touched = |t: &Self| -> Vec<_> {
            t.accesses.iter().map(|a| (a.writes, a.length, a.place.1)).collect()
        };
        let access = |&(writes, length, at): &(bool, u64, u64)| {
            let what = if writes { "write" } else { "read" };
            format!("a {what} of {length} bytes at {at:#x}")
        };
        let called = |t: &Self| t.calls.iter().map(|(_, number)| *number).collect::<Vec<_>>();
        let call = |number: &u64| format!("system call {number}");
        first_difference("access", &touched(self), &touched(other), access)
            .or_else(|| first_difference("call", &called(self), &called(other), call))
    }

    /// The position of the first system call that others can see.
    pub(super) fn first_visible_call(&self) -> Option<usize> {
        self.calls.iter().find(|(_, number)| is_visible(*number)).map(|(at, _)| *at)
    }

    /// Every position, but for those in further rounds of a loop that changes nothing: what is
    /// shared, and where the process stands, is as it was in the rounds before.
    pub(super) fn all_points(&self) -> Vec<usize> {
        let again = |at: &usize| self.rounds.iter().any(|round| round.contains(at));
        self.points((0..=self.path.len()).filter(|at| !again(at)).collect())
    }

    /// How many instructions of its path lie in further rounds of a loop that changes nothing.
    pub(super) fn in_rounds(&self) -> usize {
        self.rounds.iter().map(ExactSizeIterator::len).sum()
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
}
