//! The one door to ptrace: starts the zygote, and lets one process of the adapter at a time run,
//! step, stop and die.

use std::collections::HashMap;
use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

use libc::user_regs_struct as Registers;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Trouble;
use super::control::{Control, MARK, Meeting};
use super::course::Spot;
use super::decode::{Decoded, Decoding};
use super::source::Modules;
use super::time::{self, Deadline, Sleep, sleep_of};
use crate::protocol::ZYGOTE_VARIABLE;

/// Where a process of the adapter has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At a meeting, by itself.
    Meeting(Meeting),
    /// At this planted breakpoint, with the instruction there not executed yet.
    Planted(u64),
    /// After one instruction.
    Stepped,
    /// It has forked this process, which stands before its first instruction.
    Forked(Pid),
    /// It is about to be given this signal.
    Signal(Signal),
    /// It is gone: the signal, or the code that it left with.
    Gone(Result<i32, Signal>),
    /// It sleeps in a system call, this one, and nobody else runs who could wake it.
    Asleep(Sleep),
    /// It has used up the processor time it was given, without a stop.
    Spins,
    /// It enters a system call, or comes back from one.
    Call,
}

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
}

impl Watch {
    /// Looks at which a process sleeps, in a row, before that is believed.
    const LOOKS: u32 = 3;

    /// A process that comes back to sleep where it slept before goes round. Once this has passed,
    /// it counts as asleep: longer than the intervals at which links look after their peers.
    const ROUND: Duration = Duration::from_millis(100);

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

    fn goes_round(&self, sleep: Sleep) -> bool {
        self.rounds.get(&sleep.at).is_some_and(|n| *n >= 2) && self.skipped >= Self::ROUND
    }
}

/// How long a process may sleep before it counts as blocked, and run before it counts as
/// spinning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Wall time asleep: longer than the slices in which links look after their peers.
    pub(super) asleep: Duration,
    /// Processor time.
    pub(super) running: Duration,
    /// Whether it is enough to see that it sleeps now, though time may wake it.
    pub(super) brief: bool,
}

impl Default for Patience {
    fn default() -> Self {
        let (asleep, running) = (Duration::from_millis(400), Duration::from_millis(10));
        Self { asleep, running, brief: false }
    }
}

/// The tracer. All of it belongs to one thread, as ptrace wants it.
pub(super) struct Tracer {
    zygote: Pid,
    pub(super) control: Control,
    pub(super) decoding: Decoding,
    /// The bytes that planted breakpoints have replaced, by process and address.
    planted: HashMap<(Pid, u64), i64>,
    /// The processes that are alive and ours.
    alive: Vec<Pid>,
    /// Those that have been told to stop, and came to another stop first.
    halting: Vec<Pid>,
    /// Whether the process that was let go last has been seen asleep.
    pub(super) slept: bool,
    /// Whether a process that runs is also stopped when it enters and leaves the kernel, so that
    /// one that is woken does not run on beside the one that woke it.
    pub(super) stops_at_calls: bool,
    /// How far the clocks of this world are ahead: see [`super::time`].
    pub(super) ahead: Duration,
    /// Where the modules of the program lie.
    modules: Modules,
}

impl Tracer {
    /// Starts the adapter program as a zygote, up to its first meeting.
    pub(super) fn start(program: &Path, log: &Path) -> Result<Self, Trouble> {
        pin().map_err(|e| Trouble::Broken(format!("cannot stay on one processor: {e}")))?;
        // Waiting is done by `sigtimedwait`, which wants the signal blocked.
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).map_err(broken("sigprocmask"))?;
        let page = memfd_create("ipc-conform-control", MFdFlags::empty())
            .map_err(broken("memfd_create"))?;
        nix::unistd::ftruncate(&page, super::control::LENGTH as i64)
            .map_err(broken("ftruncate"))?;
        let control = Control::map(&page, false).map_err(|e| Trouble::Broken(e.to_string()))?;
        let zygote = exec(program, log, &page)?;
        drop(page);
        let (planted, decoding) = (HashMap::new(), Decoding::default());
        let mut tracer = Self {
            zygote,
            control,
            decoding,
            planted,
            alive: vec![zygote],
            halting: Vec::new(),
            slept: false,
            stops_at_calls: false,
            ahead: Duration::ZERO,
            modules: Modules::default(),
        };
        tracer.settle()?;
        tracer.modules = Modules::of(zygote).map_err(Trouble::Broken)?;
        Ok(tracer)
    }

    /// The process that all others are forks of.
    pub(super) fn zygote(&self) -> Pid {
        self.zygote
    }

    /// The file and offset of this address.
    pub(super) fn spot(&mut self, address: u64) -> Result<Spot, Trouble> {
        let unknown = || Trouble::Broken(format!("no program or library has code at {address:#x}"));
        self.modules.spot(address).ok_or_else(unknown)
    }

    /// The address of this file and offset.
    pub(super) fn address(&self, spot: &Spot) -> Result<u64, Trouble> {
        let unknown = || Trouble::Diverged(format!("the program has no module {}", spot.module));
        self.modules.address(spot).ok_or_else(unknown)
    }

    /// The files that the program and its libraries are in.
    pub(super) fn modules(&self) -> &Modules {
        &self.modules
    }

    /// From the stop behind exec to the first meeting.
    fn settle(&mut self) -> Result<(), Trouble> {
        match waitpid(self.zygote, None).map_err(broken("waitpid"))? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            other => return Err(Trouble::Broken(format!("the adapter does not start: {other:?}"))),
        }
        let options = Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE;
        ptrace::setoptions(self.zygote, options).map_err(broken("PTRACE_SETOPTIONS"))?;
        self.hide_vdso()?;
        match self.go(self.zygote)? {
            Stop::Meeting(Meeting::Idle) => Ok(()),
            other => Err(Trouble::Broken(format!(
                "the adapter program does not become a zygote, but stops so: {other:?}"
            ))),
        }
    }

    /// Clocks read through the vDSO take a path that depends on the time. Without it they are
    /// system calls, which take one step each.
    fn hide_vdso(&self) -> Result<(), Trouble> {
        const AT_IGNORE: u64 = 1;
        const AT_RANDOM: u64 = 25;
        const AT_SYSINFO_EHDR: u64 = 33;
        let pid = self.zygote;
        let mut at = self.registers(pid)?.rsp;
        let arguments = self.peek(pid, at)?;
        at += 8 * (arguments + 2);
        while self.peek(pid, at)? != 0 {
            at += 8;
        }
        at += 8;
        loop {
            match self.peek(pid, at)? {
                0 => return Ok(()),
                AT_SYSINFO_EHDR => self.poke(pid, at, AT_IGNORE as i64)?,
                AT_RANDOM => {
                    let bytes = self.peek(pid, at + 8)?;
                    self.poke(pid, bytes, 0x0123_4567_89ab_cdef)?;
                    self.poke(pid, bytes + 8, 0x0fed_cba9_8765_4321)?;
                }
                _ => {}
            }
            at += 16;
        }
    }

    pub(super) fn registers(&self, pid: Pid) -> Result<Registers, Trouble> {
        ptrace::getregs(pid).map_err(broken("PTRACE_GETREGS"))
    }

    fn peek(&self, pid: Pid, at: u64) -> Result<u64, Trouble> {
        let word = ptrace::read(pid, at as ptrace::AddressType);
        word.map(|word| word as u64).map_err(broken("PTRACE_PEEKDATA"))
    }

    fn poke(&self, pid: Pid, at: u64, word: i64) -> Result<(), Trouble> {
        ptrace::write(pid, at as ptrace::AddressType, word).map_err(broken("PTRACE_POKEDATA"))
    }

    /// The instruction at this address, as it is without breakpoints.
    pub(super) fn instruction(&mut self, pid: Pid, at: u64) -> Result<&Decoded, Trouble> {
        let planted = &self.planted;
        let fetch = || {
            let mut bytes = [0; 16];
            for half in [0, 8] {
                let word = ptrace::read(pid, (at + half) as ptrace::AddressType);
                // The last instruction of a mapping may have no second half.
                let word = word.or_else(|e| if half == 8 { Ok(0) } else { Err(e) });
                let word = word.map_err(|e| format!("no instruction at {at:#x}: {e}"))?;
                bytes[half as usize..half as usize + 8].copy_from_slice(&word.to_le_bytes());
            }
            for ((p, address), word) in planted.iter().filter(|((p, _), _)| *p == pid) {
                debug_assert_eq!(*p, pid);
                if let Some(i) = address.checked_sub(at).filter(|i| *i < 16) {
                    bytes[i as usize] = *word as u8;
                }
            }
            Ok(bytes)
        };
        self.decoding.at(at, fetch).map_err(Trouble::Broken)
    }

    /// Plants a breakpoint.
    pub(super) fn plant(&mut self, pid: Pid, at: u64) -> Result<(), Trouble> {
        let word = self.peek(pid, at)? as i64;
        self.poke(pid, at, word & !0xff | 0xcc)?;
        self.planted.insert((pid, at), word);
        Ok(())
    }

    /// Takes a breakpoint away. The other bytes of its word may hold another by now.
    pub(super) fn uproot(&mut self, pid: Pid, at: u64) -> Result<(), Trouble> {
        if let Some(word) = self.planted.remove(&(pid, at)) {
            let now = self.peek(pid, at)? as i64;
            self.poke(pid, at, now & !0xff | word & 0xff)?;
        }
        Ok(())
    }

    /// Goes past the `pause` that it stands at, which does nothing.
    pub(super) fn pass_pause(&mut self, pid: Pid) -> Result<(), Trouble> {
        const LENGTH: u64 = 2;
        let mut registers = self.registers(pid)?;
        registers.rip += LENGTH;
        ptrace::setregs(pid, registers).map_err(broken("PTRACE_SETREGS"))
    }

    /// Lets it run until it stops by itself.
    pub(super) fn go(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        self.run(pid, Patience::default())
    }

    /// The same, with patience of the caller's.
    pub(super) fn run(&mut self, pid: Pid, patience: Patience) -> Result<Stop, Trouble> {
        let mut given = None;
        let mut watch = Watch::default();
        loop {
            self.resume(pid, given)?;
            given = match self.watch(pid, patience, &mut watch)? {
                Stop::Call => {
                    self.turn_clock(pid)?;
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
        if self.stops_at_calls || !self.ahead.is_zero() {
            ptrace::syscall(pid, given).map_err(broken("PTRACE_SYSCALL"))
        } else {
            ptrace::cont(pid, given).map_err(broken("PTRACE_CONT"))
        }
    }

    /// Has a clock that was just read show the time of this world.
    fn turn_clock(&mut self, pid: Pid) -> Result<(), Trouble> {
        if self.ahead.is_zero() {
            return Ok(());
        }
        let after = self.registers(pid)?;
        self.turn_clock_of(pid, after.orig_rax, &after)
    }

    fn turn_clock_of(&mut self, pid: Pid, call: u64, after: &Registers) -> Result<(), Trouble> {
        let Some(at) = time::read_clock(call, after) else { return Ok(()) };
        let shown = time::of_words(self.peek(pid, at)?, self.peek(pid, at + 8)?) + self.ahead;
        self.poke(pid, at, shown.as_secs() as i64)?;
        self.poke(pid, at + 8, shown.subsec_nanos().into())
    }

    /// One instruction, which does not enter the kernel.
    pub(super) fn step(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        ptrace::step(pid, None).map_err(broken("PTRACE_SINGLESTEP"))?;
        let status = waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
        self.stop(pid, status)
    }

    /// One instruction, which may sleep.
    pub(super) fn step_call(&mut self, pid: Pid, patience: Patience) -> Result<Stop, Trouble> {
        let call = self.registers(pid)?.rax;
        ptrace::step(pid, None).map_err(broken("PTRACE_SINGLESTEP"))?;
        let stop = self.attend(pid, patience)?;
        if stop == Stop::Stepped && !self.ahead.is_zero() {
            let after = self.registers(pid)?;
            self.turn_clock_of(pid, call, &after)?;
        }
        Ok(stop)
    }

    /// Waits for a stop of a process that runs.
    pub(super) fn attend(&mut self, pid: Pid, patience: Patience) -> Result<Stop, Trouble> {
        self.watch(pid, patience, &mut Watch::default())
    }

    fn watch(&mut self, pid: Pid, patience: Patience, watch: &mut Watch) -> Result<Stop, Trouble> {
        self.slept = false;
        watch.looks = 0;
        loop {
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
            match waitpid(pid, Some(flags)).map_err(broken("waitpid"))? {
                WaitStatus::StillAlive => {}
                status => return self.stop(pid, status),
            }
            // Woken by the stop itself; the time only bounds how long we do not look.
            pause(Duration::from_micros(if watch.looks < 16 { 60 } else { 1_000 }));
            watch.looks += 1;
            if watch.looks < Watch::LOOKS {
                continue;
            }
            let Some(sleep) = sleep_of(pid) else {
                watch.nap = None;
                let used = processor_time(pid);
                let begun = *watch.begun.get_or_insert(used);
                if used.saturating_sub(begun) > patience.running {
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
                let now = time::now(clock) + self.ahead;
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

    /// Reads memory of a process.
    pub(super) fn read(&self, pid: Pid, at: u64, length: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = vec![0; length as usize];
        let remote = [RemoteIoVec { base: at as usize, len: bytes.len() }];
        let read = process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &remote);
        let read = read.map_err(broken("process_vm_readv"))?;
        bytes.truncate(read);
        Ok(bytes)
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
    pub(super) fn halt(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        kill(pid, Signal::SIGSTOP).map_err(broken("kill"))?;
        let status = waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
        let stop = self.stop(pid, status)?;
        if stop != Stop::Signal(Signal::SIGSTOP) {
            // The signal is still on its way, and says nothing when it arrives.
            self.halting.push(pid);
        }
        Ok(stop)
    }

    fn stop(&mut self, pid: Pid, status: WaitStatus) -> Result<Stop, Trouble> {
        match status {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => self.trap(pid),
            WaitStatus::PtraceSyscall(_) => Ok(Stop::Call),
            WaitStatus::Stopped(_, signal) => Ok(Stop::Signal(signal)),
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_CLONE) => Err(Trouble::Broken(
                "the adapter starts threads; only single-threaded adapters can be stepped".into(),
            )),
            WaitStatus::PtraceEvent(..) => {
                let child = ptrace::getevent(pid).map_err(broken("PTRACE_GETEVENTMSG"))?;
                let child = Pid::from_raw(child as i32);
                waitpid(child, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
                self.alive.push(child);
                Ok(Stop::Forked(child))
            }
            WaitStatus::Exited(_, code) => {
                self.forget(pid);
                Ok(Stop::Gone(Ok(code)))
            }
            WaitStatus::Signaled(_, signal, _) => {
                self.forget(pid);
                Ok(Stop::Gone(Err(signal)))
            }
            other => Err(Trouble::Broken(format!("a stop of an unknown kind: {other:?}"))),
        }
    }

    fn trap(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        // Of `int3`. A step is TRAP_TRACE, or TRAP_BRKPT when it comes back from the kernel.
        const SI_KERNEL: i32 = 0x80;
        let info = ptrace::getsiginfo(pid).map_err(broken("PTRACE_GETSIGINFO"))?;
        if info.si_code != SI_KERNEL {
            return Ok(Stop::Stepped);
        }
        let mut registers = self.registers(pid)?;
        let at = registers.rip.wrapping_sub(1);
        if self.planted.contains_key(&(pid, at)) {
            registers.rip = at;
            ptrace::setregs(pid, registers).map_err(broken("PTRACE_SETREGS"))?;
            return Ok(Stop::Planted(at));
        }
        match Meeting::from_word(registers.rdi).filter(|_| registers.rax == MARK) {
            Some(meeting) => Ok(Stop::Meeting(meeting)),
            None => Ok(Stop::Signal(Signal::SIGTRAP)),
        }
    }

    /// Kills it, and waits until it is dead: its descriptors closed, its locks given back.
    pub(super) fn kill(&mut self, pid: Pid) -> Result<(), Trouble> {
        if !self.alive.contains(&pid) {
            return Ok(());
        }
        kill(pid, Signal::SIGKILL).map_err(broken("kill"))?;
        loop {
            // A stop that it made before the signal came may be reported first.
            match waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))? {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => break,
                _ => {}
            }
        }
        self.forget(pid);
        Ok(())
    }

    fn forget(&mut self, pid: Pid) {
        self.alive.retain(|p| *p != pid);
        self.halting.retain(|p| *p != pid);
        self.planted.retain(|(p, _), _| *p != pid);
    }

    /// Whether the process is alive.
    pub(super) fn is_alive(&self, pid: Pid) -> bool {
        self.alive.contains(&pid)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        for pid in self.alive.clone() {
            // Where it fails the process is gone already.
            let _ = self.kill(pid);
        }
    }
}

pub(super) fn broken(what: &'static str) -> impl Fn(nix::Error) -> Trouble {
    move |error| Trouble::Broken(format!("{what}: {error}"))
}

/// Keeps this thread, and whatever it starts, on the processor that it is on: handing over to
/// another one costs three times as much.
fn pin() -> nix::Result<()> {
    let here = nix::sched::sched_getcpu()?;
    let mut set = nix::sched::CpuSet::new();
    set.set(here)?;
    nix::sched::sched_setaffinity(Pid::from_raw(0), &set)
}

fn exec(program: &Path, log: &Path, page: &OwnedFd) -> Result<Pid, Trouble> {
    let complain = |e: std::io::Error| Trouble::Broken(format!("{}: {e}", program.display()));
    let log = File::create(log).map_err(complain)?;
    let mut command = Program::new(program);
    command
        .env_remove(crate::stepping::ORDER_VARIABLE)
        .env(ZYGOTE_VARIABLE, page.as_raw_fd().to_string())
        // Functions bound at their first call would make the first world differ from the others.
        .env("LD_BIND_NOW", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(complain)?)
        .stderr(log);
    let prepare = || {
        nix::sys::personality::set(nix::sys::personality::Persona::ADDR_NO_RANDOMIZE)?;
        SigSet::empty().thread_set_mask()?;
        Ok(ptrace::traceme()?)
    };
    // SAFETY: between fork and exec it makes three system calls, allocates nothing, and takes no
    // lock.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn().map_err(|e| {
        let why = format!("{}: cannot be started under ptrace: {e}", program.display());
        Trouble::Broken(format!(
            "{why}; in a container, allow it with --cap-add=SYS_PTRACE or a seccomp profile \
             that lets ptrace and personality through"
        ))
    })?;
    Ok(Pid::from_raw(child.id() as i32))
}

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
