//! Sleeping on a word in shared memory, waking, and the fence that a sleeper lays for both sides.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use nix::errno::Errno;

use super::timespec;
use crate::sync::Woken;

/// Sleeps while `word` is `expected`, until woken or until `deadline` on the clock of [`now`](super::now).
///
/// Not the private kind: the sleepers and wakers are in different processes.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Duration) -> Woken {
    let deadline = timespec(deadline);
    // SAFETY: `word` is aligned and mapped while borrowed, `deadline` lives until the call
    // returns, and the kernel writes to neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            // Only the bitset form takes an absolute time.
            libc::FUTEX_WAIT_BITSET,
            expected,
            &raw const deadline,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    if result == -1 && Errno::last() == Errno::ETIMEDOUT { Woken::Late } else { Woken::Perhaps }
}

/// Wakes up to `count` sleepers on `word`.
pub(crate) fn wake(word: &AtomicU32, count: i32) {
    // SAFETY: waking reads nothing but the address of `word`, which is mapped while borrowed.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

/// A full fence on every CPU that runs a process of [`join_heavy_fences`], this one included.
pub(crate) fn heavy_fence() -> bool {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}

/// Lets every [`heavy_fence`] on this machine act on this process, too.
pub(crate) fn join_heavy_fences() -> bool {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call takes no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
