//! Processes that an adapter has started and that have left its process group, as daemons do: they
//! are known by a variable in their environment, which every process hands on to those it starts.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

/// The variable; its value is the family's.
pub(super) const VARIABLE: &str = "IPC_CONFORM_FAMILY";

/// A value that no other family of processes on this machine has.
pub(super) fn fresh() -> String {
    static FAMILIES: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only that the numbers differ matters.
    format!("{}-{}", std::process::id(), FAMILIES.fetch_add(1, Ordering::Relaxed))
}

/// Ends every process of the family, this one's parent or not.
pub(super) fn end(family: &str) {
    // One that starts others while it is looked for is found with them the next time; and one that
    // the kernel does not let go of is not waited for.
    for _ in 0..1000 {
        if end_those_there(family) == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn end_those_there(family: &str) -> usize {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let numbers = entries.filter_map(|e| e.file_name().to_str()?.parse::<libc::pid_t>().ok());
    numbers.filter(|pid| end_if_of(family, *pid)).count()
}

/// Ends the process if it is of the family and alive; whether it was.
fn end_if_of(family: &str, pid: libc::pid_t) -> bool {
    // A handle first: a number alone may be another process's by the time it is signalled.
    // SAFETY: pidfd_open has no preconditions, and answers a descriptor that nobody else owns, or -1.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
    if descriptor < 0 {
        return false;
    }
    // SAFETY: as said, it is open and owned by nobody else.
    let handle = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let entry = format!("{VARIABLE}={family}");
    if !environment.split(|byte| *byte == 0).any(|e| e == entry.as_bytes()) {
        return false;
    }
    // SAFETY: the descriptor is open, and no siginfo is given. One that has just ended is no error.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_raw_fd(),
            Signal::SIGKILL as i32,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    true
}
