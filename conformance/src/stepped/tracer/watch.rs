//! Waits for a process of the adapter: until it stops, sleeps, or has run for long enough.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libc::user_regs_struct as Registers;
use nix::sys::ptrace;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Stop, Tracer, broken};
use crate::stepped::Trouble;
use crate::stepped::time::{self, Deadline, Sleep, sleep_of};

/// What has been seen of a process since it was let go.
#[derive(Default)]
struct Watch {
    looks: u32,
    /// The processor time that it had used at the first look.
    begun: Option<Duration>,
    /// The call that it sleeps in, since when, and at how many looks in a row.
    nap: Option<(Sleep, Instant, u32)>,
    /// Where it slept up to a deadline, and how often.
    rounds: HashMap<(u64, u64), u32>,
    /// How much time it has been spared.
    skipped: Duration,
    /// Stops on its way into the kernel, or back.
    calls: u32,
}

impl Watch {
    /// Looks at which a process sleeps, in a row, before that is believed.
    const LOOKS: u32 = 3;

    /// A process that comes back to sleep where it slept before goes round. Once this has passed,
    /// it counts as asleep: longer than a few intervals at which links look after their peers.
    const ROUND: Duration = Duration::from_millis(180);

    fn sees(&mut self, sleep: Sleep) -> (u32, Duration) {
        match &mut self.nap {
            Some((known, since, looks)) if *known == sleep => {
                *looks += 1;
                (*looks, since.elapsed())
            }
            _ => {
                self.nap = Some((sleep, Instant::now(), 1));
                (1, Duration::ZERO)
            }
        }
    }

    /// Whether a process that was stopped at a call once more has run for long enough, which is
    /// looked up now and then only.
    fn goes_on_calling(&mut self, pid: Pid, patience: Patience) -> bool {
        self.calls += 1;
        self.calls.is_multiple_of(64) && self.has_run(pid, patience)
    }

    /// Whether it has used up the processor time that it was given, counted from the first look.
    fn has_run(&mut self, pid: Pid, patience: Patience) -> bool {
        let used = processor_time(pid);
        let begun = *self.begun.get_or_insert(used);
        used.saturating_sub(begun) > patience.running
    }

    fn goes_round(&self, sleep: Sleep) -> bool {
        self.rounds.get(&sleep.at).is_some_and(|n| *n >= 2) && self.skipped >= Self::ROUND
    }
}

/// How long a process may sleep before it counts as blocked, and run before it counts as
/// spinning.
#[derive(Clone, Copy, Debug)]
pub(in crate::stepped) struct Patience {
    /// Wall time asleep: longer than the slices in which links look after their peers.
    pub(in crate::stepped) asleep: Duration,
    /// Processor time.
    pub(in crate::stepped) running: Duration,
    /// Whether it is enough to see that it sleeps now, though time may wake it.
    pub(in crate::stepped) brief: bool,
    /// How long it is waited for before the first looks whether it sleeps.
    pub(in crate::stepped) look: Duration,
}

/// Where a process may well sleep, it is looked at soon.
pub(in crate::stepped) const SOON: Duration = Duration::from_micros(60);

/// Elsewhere later than the next tick of the kernel's clock, which costs nothing: an earlier timer
/// has to be set, and takes almost as long as the stop itself.
const LATER: Duration = Duration::from_millis(5);

impl Default for Patience {
    fn default() -> Self {
        let (asleep, running) = (Duration::from_millis(400), Duration::from_millis(10));
        Self { asleep, running, brief: false, look: LATER }
    }
}

impl Tracer {
    /// Lets it run until it stops by itself.
    pub(in crate::stepped) fn go(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        self.run(pid, Patience::default())
    }

    /// The same, with patience of the caller's.
    pub(in crate::stepped) fn run(
        &mut self,
        pid: Pid,
        patience: Patience,
    ) -> Result<Stop, Trouble> {
        let mut given = None;
        let mut watch = Watch::default();
        loop {
            self.resume(pid, given)?;
            given = match self.watch(pid, patience, &mut watch)? {
                Stop::Call => {
                    if self.has_heap {
                        let registers = self.registers(pid)?;
                        self.share_futex(pid, registers.orig_rax, registers)?;
                    }
                    self.turn_clock(pid)?;
                    if watch.goes_on_calling(pid, patience) {
                        self.resume(pid, None)?;
                        return Ok(Stop::Spins);
                    }
                    None
                }
                Stop::Signal(Signal::SIGSTOP) if self.halting.contains(&pid) => {
                    self.halting.retain(|p| *p != pid);
                    None
                }
                // A tracer is shown even signals that the process ignores, as Rust's do SIGPIPE.
                // Given to it, a deadly one ends it, which is the next stop.
                Stop::Signal(signal) if signal != Signal::SIGSTOP => Some(signal),
                stop => return Ok(stop),
            };
        }
    }

    fn resume(&mut self, pid: Pid, given: Option<Signal>) -> Result<(), Trouble> {
        if self.stops_at_calls || self.turns_clocks() {
            ptrace::syscall(pid, given).map_err(broken("PTRACE_SYSCALL"))
        } else {
            ptrace::cont(pid, given).map_err(broken("PTRACE_CONT"))
        }
    }

    /// Whether a clock is to show something else than it does.
    fn turns_clocks(&self) -> bool {
        self.even_clock.is_some() || !self.ahead.is_zero()
    }

    /// Has a clock that was just read show the time of this world.
    fn turn_clock(&mut self, pid: Pid) -> Result<(), Trouble> {
        if !self.turns_clocks() {
            return Ok(());
        }
        let after = self.registers(pid)?;
        self.turn_clock_of(pid, after.orig_rax, &after)
    }

    fn turn_clock_of(&mut self, pid: Pid, call: u64, after: &Registers) -> Result<(), Trouble> {
        let Some(at) = time::read_clock(call, after) else { return Ok(()) };
        let shown = match &mut self.even_clock {
            Some(clock) => clock.read(after.rdi as libc::clockid_t),
            None => time::of_words(self.peek(pid, at)?, self.peek(pid, at + 8)?),
        };
        let shown = shown + self.ahead;
        self.poke(pid, at, shown.as_secs() as i64)?;
        self.poke(pid, at + 8, shown.subsec_nanos().into())
    }

    /// One instruction, which neither enters the kernel nor is a trap.
    pub(in crate::stepped) fn step(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        ptrace::step(pid, None).map_err(broken("PTRACE_SINGLESTEP"))?;
        match waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))? {
            // What else it could be need not be asked: that is half of what a step costs here.
            WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(Stop::Stepped),
            status => self.stop(pid, status),
        }
    }

    /// One instruction, which may sleep.
    pub(in crate::stepped) fn step_call(
        &mut self,
        pid: Pid,
        patience: Patience,
    ) -> Result<Stop, Trouble> {
        let registers = self.registers(pid)?;
        let call = registers.rax;
        if self.has_heap {
            self.share_futex(pid, call, registers)?;
        }
        ptrace::step(pid, None).map_err(broken("PTRACE_SINGLESTEP"))?;
        self.stepping.push(pid);
        let stop = self.attend(pid, patience)?;
        if stop == Stop::Stepped && self.turns_clocks() {
            let after = self.registers(pid)?;
            self.turn_clock_of(pid, call, &after)?;
        }
        Ok(stop)
    }

    /// Lets it run until it enters the kernel, or comes back from it, or stops otherwise.
    pub(in crate::stepped) fn run_to_call(
        &mut self,
        pid: Pid,
        patience: Patience,
    ) -> Result<Stop, Trouble> {
        ptrace::syscall(pid, None).map_err(broken("PTRACE_SYSCALL"))?;
        let stop = self.attend(pid, patience)?;
        if stop == Stop::Call {
            self.turn_clock(pid)?;
        }
        Ok(stop)
    }

    /// Waits for a stop of a process that runs.
    pub(in crate::stepped) fn attend(
        &mut self,
        pid: Pid,
        patience: Patience,
    ) -> Result<Stop, Trouble> {
        // Whoever is attended to has been left asleep, or may fall asleep in this very call.
        let patience = Patience { look: SOON, ..patience };
        self.watch(pid, patience, &mut Watch::default())
    }

    fn watch(&mut self, pid: Pid, patience: Patience, watch: &mut Watch) -> Result<Stop, Trouble> {
        self.slept = false;
        watch.looks = 0;
        loop {
            // Woken by the stop itself; the time only bounds how long we do not look. It shares our
            // processor, so that it has hardly run before we sleep.
            pause(if watch.looks < 16 { patience.look } else { patience.look.max(SLOW) });
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
            match waitpid(pid, Some(flags)).map_err(broken("waitpid"))? {
                WaitStatus::StillAlive => {}
                status => return self.stop(pid, status),
            }
            watch.looks += 1;
            if watch.looks < Watch::LOOKS {
                continue;
            }
            let Some(sleep) = sleep_of(pid) else {
                watch.nap = None;
                if watch.has_run(pid, patience) {
                    return Ok(Stop::Spins);
                }
                continue;
            };
            self.slept = true;
            let (looks, elapsed) = watch.sees(sleep);
            if looks < Watch::LOOKS {
                continue;
            }
            match sleep.deadline() {
                Deadline::Unknown if elapsed < patience.asleep && !patience.brief => {}
                Deadline::Unknown | Deadline::Never => return Ok(Stop::Asleep(sleep)),
                _ if patience.brief || watch.goes_round(sleep) => return Ok(Stop::Asleep(sleep)),
                deadline => {
                    let left = self.left(pid, deadline)?;
                    watch.nap = None;
                    watch.skipped += left;
                    *watch.rounds.entry(sleep.at).or_default() += 1;
                    if let Some(stop) = self.skip(pid, sleep, left)? {
                        return Ok(stop);
                    }
                }
            }
        }
    }

    /// How long it is until the deadline.
    fn left(&mut self, pid: Pid, deadline: Deadline) -> Result<Duration, Trouble> {
        let read = |at| {
            let (seconds, rest) = (self.peek_asleep(pid, at)?, self.peek_asleep(pid, at + 8)?);
            Ok(time::of_words(seconds, rest))
        };
        Ok(match deadline {
            Deadline::After { at } => read(at)?,
            Deadline::When { clock, at } => {
                let even = self.even_clock.map(|even| even.shows(clock));
                let now = even.unwrap_or_else(|| time::now(clock)) + self.ahead;
                read(at)?.saturating_sub(now)
            }
            Deadline::In(time) => time,
            Deadline::Never | Deadline::Unknown => Duration::ZERO,
        })
    }

    /// Reads a word of a process that has not been stopped.
    fn peek_asleep(&self, pid: Pid, at: u64) -> Result<u64, Trouble> {
        let bytes = self.read(pid, at, 8)?.try_into();
        bytes.map(u64::from_le_bytes).map_err(|_| Trouble::Broken(format!("no word at {at:#x}")))
    }

    /// Has the deadline come that the process sleeps up to. Answers the stop that it then stands
    /// at, unless it has been let go again.
    fn skip(&mut self, pid: Pid, sleep: Sleep, left: Duration) -> Result<Option<Stop>, Trouble> {
        kill(pid, Signal::SIGSTOP).map_err(broken("kill"))?;
        let status = waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
        let stop = self.stop(pid, status)?;
        let stopped = stop == Stop::Signal(Signal::SIGSTOP);
        if !stopped && !matches!(stop, Stop::Call | Stop::Stepped) {
            self.halting.push(pid);
            return Ok(Some(stop));
        }
        let mut registers = self.registers(pid)?;
        if time::is_interrupted(registers.rax) {
            registers.rax = sleep.expired() as u64;
            // So that the kernel does not make the call again.
            registers.orig_rax = u64::MAX;
            ptrace::setregs(pid, registers).map_err(broken("PTRACE_SETREGS"))?;
            self.ahead += left;
        }
        if !stopped {
            // The signal is on its way, and comes before the next instruction.
            ptrace::step(pid, None).map_err(broken("PTRACE_SINGLESTEP"))?;
            self.stepping.push(pid);
            let status = waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
            match self.stop(pid, status)? {
                Stop::Signal(Signal::SIGSTOP) => {}
                other => return Ok(Some(other)),
            }
            return Ok(Some(stop));
        }
        self.resume(pid, None)?;
        Ok(None)
    }

    /// Stops a process that runs. It may come to another stop first.
    pub(in crate::stepped) fn halt(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        kill(pid, Signal::SIGSTOP).map_err(broken("kill"))?;
        let status = waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
        let stop = self.stop(pid, status)?;
        if stop != Stop::Signal(Signal::SIGSTOP) {
            // The signal is still on its way, and says nothing when it arrives.
            self.halting.push(pid);
        }
        Ok(stop)
    }
}

/// How often a process is looked at that has run for a while.
const SLOW: Duration = Duration::from_millis(1);

/// Sleeps until a child stops, or this has passed.
fn pause(time: Duration) {
    let wait = libc::timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    let (set, none) = (set.as_ref() as *const libc::sigset_t, std::ptr::null_mut());
    // SAFETY: both structures live across the call, and no information is asked for. That no
    // signal came in time is an answer like any other.
    let _ = unsafe { libc::sigtimedwait(set, none, &raw const wait) };
}

/// The processor time that the process has used.
fn processor_time(pid: Pid) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split_ascii_whitespace().next().and_then(|f| f.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
