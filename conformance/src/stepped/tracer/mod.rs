//! The one door to ptrace: starts the zygote, and lets one process of the adapter at a time run,
//! step, stop and die.

mod futex;
mod start;
mod watch;

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::time::Duration;

use libc::user_regs_struct as Registers;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Trouble;
use super::control::{Control, MARK, Meeting};
use super::course::Spot;
use super::decode::{Decoded, Decoding};
use super::source::Modules;
use super::time::{EvenClock, Sleep};
use crate::adapter::Place;

pub(super) use start::check;
pub(super) use watch::{Patience, SOON};

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

/// The tracer. All of it belongs to one thread, as ptrace wants it.
pub(super) struct Tracer {
    zygote: Pid,
    pub(super) control: Control,
    pub(super) decoding: Decoding,
    /// The bytes that planted breakpoints have replaced, by process and address.
    planted: HashMap<(Pid, u64), i64>,
    /// The processes that are alive and ours, in the order in which they were forked.
    alive: Vec<Pid>,
    /// Threads that were started although they must not be, and the processes they belong to.
    threads: Vec<(Pid, Pid)>,
    /// Where its worlds are.
    place: Place,
    /// Why they have no namespaces of their own; `None`: they have.
    exposed: Option<String>,
    /// Those that have been told to stop, and came to another stop first.
    halting: Vec<Pid>,
    /// Those that were let go for one instruction only, and may have fallen asleep in it.
    stepping: Vec<Pid>,
    /// Whether the process that was let go last has been seen asleep.
    pub(super) slept: bool,
    /// Whether a process that runs is also stopped when it enters and leaves the kernel, so that
    /// one that is woken does not run on beside the one that woke it.
    pub(super) stops_at_calls: bool,
    /// How far the clocks of this world are ahead: see [`super::time`].
    pub(super) ahead: Duration,
    /// What clocks show in this world, if it is not the time.
    pub(super) even_clock: Option<EvenClock>,
    /// Where the modules of the program lie.
    modules: Modules,
    /// Whether the link's processes can share a heap.
    has_heap: bool,
}

impl Tracer {
    /// The process that all others are forks of.
    pub(super) fn zygote(&self) -> Pid {
        self.zygote
    }

    /// Where its worlds are.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Why the worlds have no namespaces of their own; `None`: they have.
    pub(super) fn exposed(&self) -> Option<&str> {
        self.exposed.as_deref()
    }

    /// Whether the link's processes can share a heap.
    pub(super) fn has_heap(&self) -> bool {
        self.has_heap
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

    /// Reads memory of a process.
    pub(super) fn read(&self, pid: Pid, at: u64, length: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = vec![0; length as usize];
        let remote = [RemoteIoVec { base: at as usize, len: bytes.len() }];
        let read = process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &remote);
        let read = read.map_err(broken("process_vm_readv"))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn stop(&mut self, pid: Pid, status: WaitStatus) -> Result<Stop, Trouble> {
        match status {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => self.trap(pid),
            WaitStatus::PtraceSyscall(_) => Ok(Stop::Call),
            WaitStatus::Stopped(_, signal) => Ok(Stop::Signal(signal)),
            WaitStatus::PtraceEvent(_, _, event) => {
                let child = ptrace::getevent(pid).map_err(broken("PTRACE_GETEVENTMSG"))?;
                let child = Pid::from_raw(child as i32);
                waitpid(child, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?;
                if event == libc::PTRACE_EVENT_CLONE {
                    self.threads.push((pid, child));
                    return Err(Trouble::Broken(THREADS.into()));
                }
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
        if self.stepping.contains(&pid) {
            self.stepping.retain(|p| *p != pid);
            let info = ptrace::getsiginfo(pid).map_err(broken("PTRACE_GETSIGINFO"))?;
            if info.si_code != SI_KERNEL {
                return Ok(Stop::Stepped);
            }
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
        // The death of a process is told only once those of its threads have been heard of.
        for (_, thread) in self.threads.extract_if(.., |(process, _)| *process == pid) {
            while waitpid(thread, Some(WaitPidFlag::__WALL)).is_ok_and(|status| !is_end(status)) {}
        }
        loop {
            // A stop that it made before the signal came may be reported first.
            if is_end(waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(broken("waitpid"))?) {
                break;
            }
        }
        self.forget(pid);
        Ok(())
    }

    fn forget(&mut self, pid: Pid) {
        self.alive.retain(|p| *p != pid);
        self.halting.retain(|p| *p != pid);
        self.stepping.retain(|p| *p != pid);
        self.planted.retain(|(p, _), _| *p != pid);
    }

    /// Kills everybody but the zygote and those before it: the worlds' processes, and what these
    /// have started besides.
    pub(super) fn kill_all(&mut self) -> Result<(), Trouble> {
        while let Some(last) = self.alive.last().copied().filter(|p| *p != self.zygote) {
            self.kill(last)?;
        }
        Ok(())
    }

    /// Whether the process is alive.
    pub(super) fn is_alive(&self, pid: Pid) -> bool {
        self.alive.contains(&pid)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // The newest first: the process 1 of a namespace ends only when all others in it have.
        for pid in self.alive.clone().into_iter().rev() {
            // Where it fails the process is gone already.
            let _ = self.kill(pid);
        }
    }
}

fn is_end(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..))
}

/// What is said of an adapter that is not of one thread.
const THREADS: &str = "the adapter starts a thread, and only processes of one thread are stepped; \
                       switch its background threads off, or leave it to the runs by processes";

/// What is said where the kernel does not let this program trace.
pub(super) const PERMISSION: &str = "allow tracing: in a container with --cap-add=SYS_PTRACE or a seccomp profile that lets \
     ptrace, process_vm_readv and personality through, elsewhere with kernel.yama.ptrace_scope \
     below 2";

pub(super) fn broken(what: &'static str) -> impl Fn(nix::Error) -> Trouble {
    move |error| {
        let remedy = match error {
            Errno::EPERM | Errno::ENOSYS | Errno::EACCES => format!("; {PERMISSION}"),
            _ => String::new(),
        };
        Trouble::Broken(format!("{what}: {error}{remedy}"))
    }
}
