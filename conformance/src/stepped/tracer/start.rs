//! Starts the adapter program under ptrace, laid out the same each time, and in namespaces that
//! its worlds have to themselves.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{PERMISSION, Stop, Tracer, broken};
use crate::adapter::Place;
use crate::protocol::ZYGOTE_VARIABLE;
use crate::stepped::control::{Answer, Command, Control, LENGTH, Meeting, ZYGOTE_SLOT};
use crate::stepped::decode::Decoding;
use crate::stepped::source::Modules;
use crate::stepped::{Trouble, namespaces};
use crate::stepping::processor::stay_on;

impl Tracer {
    /// Starts the adapter program as a zygote, up to its first meeting. Its worlds have
    /// namespaces of their own where the kernel lets them, else a place in this folder.
    pub(in crate::stepped) fn start(program: &Path, folder: &Path) -> Result<Self, Trouble> {
        check(program)?;
        // Handing over to another processor costs three times as much.
        nix::sched::sched_getcpu()
            .and_then(stay_on)
            .map_err(|e| Trouble::Broken(format!("cannot stay on one processor: {e}")))?;
        // Waiting is done by `sigtimedwait`, which wants the signal blocked.
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).map_err(broken("sigprocmask"))?;
        let mut tracer = Self::open(program, folder)?;
        if let Err(why) = tracer.seclude()? {
            // It may have got half-way: another one, then, which is not asked.
            drop(tracer);
            tracer = Self::open(program, folder)?;
            tracer.exposed = Some(why);
        }
        tracer.modules = Modules::of(tracer.zygote).map_err(Trouble::Broken)?;
        tracer.keep_code()?;
        tracer.has_heap = tracer.ask_for_heap()?;
        Ok(tracer)
    }

    /// Has forks of the zygote find its code where it has: the kernel copies the page tables of
    /// memory that has been written to, and leaves the rest to a fault for each page, which
    /// together take longer than the fork. So one word of each mapping is written as it is.
    fn keep_code(&self) -> Result<(), Trouble> {
        let path = format!("/proc/{}/maps", self.zygote);
        let complain = |e: std::io::Error| Trouble::Broken(format!("{path}: {e}"));
        for line in std::fs::read_to_string(&path).map_err(complain)?.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
            let begin = range.split('-').next().and_then(|at| u64::from_str_radix(at, 16).ok());
            let is_code = matches!(rights, "r-xp" | "r--p") && line.contains(" /");
            if let Some(at) = begin.filter(|_| is_code) {
                let word = self.peek(self.zygote, at)?;
                self.poke(self.zygote, at, word as i64)?;
            }
        }
        Ok(())
    }

    fn open(program: &Path, folder: &Path) -> Result<Self, Trouble> {
        let page = memfd_create("ipc-conform-control", MFdFlags::empty())
            .map_err(broken("memfd_create"))?;
        nix::unistd::ftruncate(&page, LENGTH as i64).map_err(broken("ftruncate"))?;
        let control = Control::map(&page, false).map_err(|e| Trouble::Broken(e.to_string()))?;
        let place = Place {
            name: format!("ipc-conform-step-{}", std::process::id()),
            folder: folder.join("world"),
        };
        std::fs::create_dir_all(&place.folder)
            .map_err(|e| Trouble::Broken(format!("{}: {e}", place.folder.display())))?;
        let zygote = exec(program, &folder.join("stepped.log"), &page)?;
        let mut tracer = Self {
            zygote,
            control,
            decoding: Decoding::default(),
            planted: HashMap::new(),
            alive: vec![zygote],
            threads: Vec::new(),
            place,
            exposed: None,
            halting: Vec::new(),
            stepping: Vec::new(),
            slept: false,
            stops_at_calls: false,
            ahead: Duration::ZERO,
            even_clock: None,
            modules: Modules::default(),
            has_heap: false,
        };
        tracer.settle()?;
        Ok(tracer)
    }

    /// Has the zygote go on in namespaces that only its worlds are in. The inner error says why
    /// the kernel lets it not.
    fn seclude(&mut self) -> Result<Result<(), String>, Trouble> {
        self.control.write(ZYGOTE_SLOT, &Command::Seclude).map_err(Trouble::Broken)?;
        match self.go(self.zygote)? {
            // The old one stands where it forked, for good.
            Stop::Forked(child) => self.zygote = child,
            Stop::Meeting(Meeting::Idle) => return self.answered(),
            other => return Err(Trouble::Broken(format!("the zygote stops so: {other:?}"))),
        }
        match self.go(self.zygote)? {
            Stop::Meeting(Meeting::Idle) => {}
            other => return Err(Trouble::Broken(format!("the zygote stops so: {other:?}"))),
        }
        self.place = namespaces::place();
        self.answered()
    }

    /// Whether the link's processes can share a heap.
    fn ask_for_heap(&mut self) -> Result<bool, Trouble> {
        self.control.write(ZYGOTE_SLOT, &Command::HasHeap).map_err(Trouble::Broken)?;
        match self.go(self.zygote)? {
            Stop::Meeting(Meeting::Idle) => {}
            other => return Err(Trouble::Broken(format!("the zygote stops so: {other:?}"))),
        }
        let answer: Answer = self.control.read(ZYGOTE_SLOT).map_err(Trouble::Broken)?;
        Ok(answer == Answer::Done)
    }

    fn answered(&self) -> Result<Result<(), String>, Trouble> {
        match self.control.read(ZYGOTE_SLOT).map_err(Trouble::Broken)? {
            Answer::Done => Ok(Ok(())),
            Answer::Odd(why) => Ok(Err(why)),
            other => Err(Trouble::Broken(format!("the zygote answers {other:?}"))),
        }
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
        // Asked for at once, so that what needs it does not come to an end half-way.
        let stack = self.registers(self.zygote)?.rsp;
        self.read(self.zygote, stack, 8)?;
        self.hide_vdso()?;
        match self.go(self.zygote)? {
            Stop::Meeting(Meeting::Idle) => Ok(()),
            other => Err(Trouble::Broken(format!(
                "the program does not let itself be stepped, but stops so: {other:?}; only \
                 adapters in Rust that call `ipc_conformance::main` do"
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
        Trouble::Broken(format!("{why}; {PERMISSION}"))
    })?;
    Ok(Pid::from_raw(child.id() as i32))
}

/// Refuses what is no program for this processor: its instructions cannot be decoded.
pub(in crate::stepped) fn check(program: &Path) -> Result<(), Trouble> {
    /// An ELF file of 64 bits; and, at 18, for x86-64.
    const MAGIC: &[u8] = b"\x7fELF\x02";
    const X86_64: [u8; 2] = [62, 0];
    let complain = |e: std::io::Error| Trouble::Broken(format!("{}: {e}", program.display()));
    let mut head = [0; 20];
    let read = File::open(program).and_then(|mut f| f.read(&mut head)).map_err(complain)?;
    if read == head.len() && head.starts_with(MAGIC) && head[18..] == X86_64 {
        return Ok(());
    }
    Err(Trouble::Broken(format!(
        "{} is no x86-64 program, and only their instructions can be stepped; build it for \
         x86-64, or leave it to the runs by processes",
        program.display()
    )))
}
