//! System calls for each message, counted by the kernel: the thread that sends and receives is
//! traced (`ptrace`), between two marks.

use std::path::Path;
use std::time::{Duration, Instant};

use ipc_model::{Capacity, Force, Source};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::resources::no_facts;
use super::{Found, Probe, Subject, about};
use crate::adapter::Claim;
use crate::look::{Facts, MARK, Task};
use crate::protocol::Way;

fn can_be_counted(claim: &Claim) -> bool {
    claim.threads && claim.profile.capacity != Capacity::Zero
}

/// How many there are.
pub(super) const SEEN: Probe = Probe {
    about: about(
        "cost.system-calls",
        "A message that is sent and received while nobody has to wait takes this many system \
         calls.",
        &[Source::Statement("C6"), Source::Statement("C7")],
        Force::Unspecified,
    ),
    claimed: can_be_counted,
    deep: false,
    way: Some(Way::Threads),
    look: seen,
};

/// No more than claimed.
pub(super) const CLAIMED: Probe = Probe {
    about: about(
        "cost.system-calls-claimed",
        "A message that is sent and received while nobody has to wait takes no more system calls \
         than the link claims.",
        &[Source::Statement("C6"), Source::Statement("C7")],
        Force::Shall,
    ),
    claimed: |claim| can_be_counted(claim) && claim.extras.system_calls.is_some(),
    deep: false,
    way: Some(Way::Threads),
    look: claimed,
};

/// Messages that are counted over.
const MESSAGES: u32 = 50;

/// System calls and messages; or what was found instead.
fn count(subject: &mut Subject<'_>) -> Result<(u64, u64), Found> {
    let link = subject.claim.link.clone();
    let task = Task::Alternate { messages: MESSAGES };
    match subject.host.look(&link, task, watch) {
        Ok((Facts::Alternated { passed }, Ok(calls))) if passed > 0 => Ok((calls, passed.into())),
        Ok((Facts::Alternated { .. }, Ok(_))) => Err(Found::inconclusive("no message passed")),
        Ok((_, Err(why))) => Err(Found::inconclusive(format!("cannot count: {why}"))),
        Ok((facts, _)) => Err(no_facts(Ok((facts, ())))),
        Err(why) => Err(no_facts(Err(why))),
    }
}

fn seen(subject: &mut Subject<'_>) -> Found {
    match count(subject) {
        Ok((calls, messages)) => {
            let each = calls.div_ceil(messages);
            let words =
                if each == 1 { "1 system call".into() } else { format!("{each} system calls") };
            Found::observed(format!("{calls} for {messages} messages"), [words])
        }
        Err(found) => found,
    }
}

fn claimed(subject: &mut Subject<'_>) -> Found {
    let most = u64::from(subject.claim.extras.system_calls.unwrap_or(0));
    match count(subject) {
        Ok((calls, messages)) if calls > most * messages => Found::broken(format!(
            "{calls} system calls for {messages} messages; {most} for each are claimed"
        )),
        Ok((calls, messages)) => Found::kept(format!("{calls} for {messages} messages")),
        Err(found) => found,
    }
}

/// How long the adapter may take to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts the system calls between the two marks of the thread that has written who it is.
fn watch(folder: &Path) -> Result<u64, String> {
    let begun = Instant::now();
    let tid = loop {
        let text = std::fs::read_to_string(folder.join("tid")).unwrap_or_default();
        match text.parse() {
            Ok(tid) => break Pid::from_raw(tid),
            Err(_) if begun.elapsed() > PATIENCE => return Err("nobody began".into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let failed = |e: nix::Error| format!("ptrace: {e}");
    ptrace::seize(tid, ptrace::Options::PTRACE_O_TRACESYSGOOD).map_err(failed)?;
    ptrace::interrupt(tid).map_err(failed)?;
    let counted = std::fs::write(folder.join("go"), "").map_err(|e| e.to_string());
    let counted = counted.and_then(|()| between_marks(tid).map_err(failed));
    // A thread that has ended needs no letting go.
    let _ = ptrace::detach(tid, None);
    counted
}

fn between_marks(tid: Pid) -> Result<u64, nix::Error> {
    let mut calls = None;
    loop {
        let mut signal = None;
        match waitpid(tid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceSyscall(_) => {
                let info = ptrace::syscall_info(tid)?;
                if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    // SAFETY: `op` says that `entry` is the part of the union that was written.
                    let entry = unsafe { info.u.entry };
                    let is_mark = entry.nr == libc::SYS_prctl as u64 && entry.args[0] == MARK;
                    match (&mut calls, is_mark) {
                        (None, true) => calls = Some(0),
                        (Some(counted), true) => return Ok(*counted),
                        (Some(counted), false) => *counted += 1,
                        (None, false) => {}
                    }
                }
            }
            WaitStatus::Stopped(_, other) if other != Signal::SIGTRAP => signal = Some(other),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Err(nix::Error::ESRCH),
            _ => {}
        }
        ptrace::syscall(tid, signal)?;
    }
}
