//! The one door to ptrace: starts the zygote, and lets one process of the adapter at a time run,
//! step, stop and die.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

use libc::user_regs_struct as Registers;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Trouble;
use super::control::{Control, MARK, Meeting};
use super::decode::{Decoded, Decoding};
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
}

/// A system call that somebody sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sleep {
    /// Its number.
    pub(super) call: u64,
    /// Where it was made.
    pub(super) at: u64,
}

/// How long a process may sleep before it counts as blocked, and run before it counts as
/// spinning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Wall time asleep: longer than the slices in which links look after their peers.
    pub(super) asleep: Duration,
    /// Processor time.
    pub(super) running: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { asleep: Duration::from_millis(400), running: Duration::from_millis(10) }
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
        let mut tracer =
            Self { zygote, control, decoding, planted, alive: vec![zygote], halting: Vec::new() };
        tracer.settle()?;
        Ok(tracer)
    }

    /// The process that all others are forks of.
    pub(super) fn zygote(&self) -> Pid {
        self.zygote
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

    /// Lets it run until it stops by itself.
    pub(super) fn go(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        self.run(pid, Patience::default())
    }

    /// The same, with patience of the caller's.
    pub(super) fn run(&mut self, pid: Pid, patience: Patience) -> Result<Stop, Trouble> {
        let mut given = None;
        loop {
            ptrace::cont(pid, given).map_err(broken("PTRACE_CONT"))?;
            given = match self.attend(pid, patience)? {
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

    /// One instruction, which does not enter the kernel.
    pub(super) fn step(&mut self, pid: Pid) -> Result<Stop, Trouble> {
        ptrace::step(pid, None).map_err(broken("PTRACE_SINGLESTEP"))?;
        let status = waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
        self.stop(pid, status)
    }

    /// One instruction, which may sleep.
    pub(super) fn step_call(&mut self, pid: Pid, patience: Patience) -> Result<Stop, Trouble> {
        ptrace::step(pid, None).map_err(broken("PTRACE_SINGLESTEP"))?;
        self.attend(pid, patience)
    }

    /// Waits for a stop of a process that runs.
    pub(super) fn attend(&mut self, pid: Pid, patience: Patience) -> Result<Stop, Trouble> {
        let mut asleep: Option<(Instant, Sleep)> = None;
        let mut looks = 0;
        let mut begun = None;
        loop {
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
            match waitpid(pid, Some(flags)).map_err(broken("waitpid"))? {
                WaitStatus::StillAlive => {}
                status => return self.stop(pid, status),
            }
            // Woken by the stop itself; the time only bounds how long we do not look.
            pause(if looks < 8 { Duration::from_micros(200) } else { Duration::from_millis(2) });
            looks += 1;
            if looks < 3 {
                continue;
            }
            let used = processor_time(pid);
            let begun = *begun.get_or_insert(used);
            match sleep_of(pid) {
                Some(sleep) => {
                    let since = asleep.map_or_else(Instant::now, |(since, _)| since);
                    asleep = Some((since, sleep));
                    let endless = looks > 5 && sleeps_for_good(pid);
                    if endless || since.elapsed() > patience.asleep {
                        return Ok(Stop::Asleep(sleep));
                    }
                }
                // It may be between two slices of one long sleep: that goes on counting unless
                // it computes, which the processor time tells.
                None if used.saturating_sub(begun) > patience.running => {
                    return Ok(Stop::Spins);
                }
                None => {}
            }
        }
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

/// The system call that the process sleeps in, if it sleeps.
fn sleep_of(pid: Pid) -> Option<Sleep> {
    if crate::worker::state_of(pid.as_raw() as u32, pid.as_raw() as u32)? != 'S' {
        return None;
    }
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let call = fields.first()?.parse().ok()?;
    let hex = |f: &str| u64::from_str_radix(f.trim_start_matches("0x"), 16).ok();
    Some(Sleep { call, at: hex(fields.last()?)? })
}

/// Whether the process sleeps in a call that has no deadline.
fn sleeps_for_good(pid: Pid) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/syscall")) else { return false };
    let hex = |f: &str| u64::from_str_radix(f.trim_start_matches("0x"), 16).unwrap_or(1);
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let argument = |i: usize| fields.get(i + 1).map_or(1, |f| hex(f));
    let minus_one = |i: usize| argument(i) as i32 == -1;
    match fields.first().and_then(|f| f.parse::<i64>().ok()) {
        Some(libc::SYS_futex) => argument(3) == 0,
        Some(libc::SYS_read | libc::SYS_write | libc::SYS_readv | libc::SYS_writev) => true,
        Some(libc::SYS_preadv2 | libc::SYS_pwritev2 | libc::SYS_recvmsg | libc::SYS_sendmsg) => {
            true
        }
        Some(libc::SYS_recvfrom | libc::SYS_sendto | libc::SYS_flock) => true,
        Some(libc::SYS_poll) => minus_one(2),
        Some(libc::SYS_ppoll) => argument(2) == 0,
        Some(libc::SYS_epoll_wait | libc::SYS_epoll_pwait) => minus_one(3),
        Some(libc::SYS_mq_timedsend | libc::SYS_mq_timedreceive) => argument(4) == 0,
        Some(libc::SYS_semtimedop) => argument(3) == 0,
        Some(libc::SYS_msgsnd | libc::SYS_msgrcv | libc::SYS_semop) => true,
        _ => false,
    }
}

/// The processor time that the process has used.
fn processor_time(pid: Pid) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split_ascii_whitespace().next().and_then(|f| f.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
