//! System calls, counted by the kernel: the cell runs under ptrace, which needs no privilege over
//! one's own children, and every entry into the kernel between two marks is one call.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Tells the tracer where counting begins and ends: the kernel ignores what the call is given.
pub(crate) fn mark() {
    // SAFETY: getppid takes no arguments and touches no memory.
    unsafe { libc::syscall(libc::SYS_getppid, MARK) };
}

const MARK: u64 = 0x6970_635f_6d61_726b;

/// Starts a command under ptrace, stopped behind its exec.
pub(crate) fn start(command: &mut Command) -> Result<Child> {
    let trace = || ptrace::traceme().map_err(std::io::Error::from);
    // SAFETY: between fork and exec this makes one system call, and allocates nothing.
    unsafe { command.pre_exec(trace) };
    let child = command.spawn().context("ptrace: the system does not let us trace a child")?;
    Ok(child)
}

/// Lets it and its children run to their end; how many calls they made between the marks.
pub(crate) fn count(child: &Child) -> Result<u64> {
    let root = Pid::from_raw(child.id() as i32);
    let all = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    match waitpid(root, None)? {
        WaitStatus::Stopped(..) => {}
        other => bail!("the cell did not start: {other:?}"),
    }
    ptrace::setoptions(root, all).context("PTRACE_SETOPTIONS")?;
    go(root, None)?;
    let (mut marks, mut calls) = (0, 0);
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(Errno::ECHILD) => bail!("the cell has vanished"),
            status => status?,
        };
        match status {
            WaitStatus::PtraceSyscall(pid) => {
                match entered(pid)? {
                    Some((number, first))
                        if number == libc::SYS_getppid as u64 && first == MARK =>
                    {
                        marks += 1;
                    }
                    Some(_) if marks == 1 => calls += 1,
                    _ => {}
                }
                go(pid, None)?;
            }
            WaitStatus::PtraceEvent(pid, ..) => go(pid, None)?,
            // A new child begins with a stop that is no signal of its own.
            WaitStatus::Stopped(pid, Signal::SIGSTOP | Signal::SIGTRAP) => go(pid, None)?,
            WaitStatus::Stopped(pid, signal) => go(pid, Some(signal))?,
            WaitStatus::Exited(pid, 0) if pid == root => {
                return if marks == 2 { Ok(calls) } else { bail!("{marks} marks of 2") };
            }
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) if pid == root => {
                bail!("the cell ended with {status:?}");
            }
            _ => {}
        }
    }
}

fn go(pid: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::syscall(pid, signal) {
        // It was killed meanwhile, which the next wait tells.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("PTRACE_SYSCALL"),
    }
}

/// The call that is entered, with its first argument; `None` on the way out of one.
fn entered(pid: Pid) -> Result<Option<(u64, u64)>> {
    let info = match ptrace::syscall_info(pid) {
        Err(Errno::ESRCH) => return Ok(None),
        info => info.context("PTRACE_GET_SYSCALL_INFO")?,
    };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: the kernel says that this is the variant it has filled in.
    let entry = unsafe { info.u.entry };
    Ok(Some((entry.nr, entry.args[0])))
}
