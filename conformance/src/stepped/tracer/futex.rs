//! Futexes of links that join threads, in a heap that processes share.
//!
//! What joins threads sleeps on futexes that are *private*: the kernel then looks for sleepers in
//! the caller's address space alone, and a process would wait for ever for a lock that another has
//! given back. So the word *private* is taken out of such calls on their way into the kernel.

use libc::user_regs_struct as Registers;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::{Tracer, broken};
use crate::heap;
use crate::stepped::Trouble;

impl Tracer {
    /// To be called where a process is about to make this system call.
    pub(super) fn share_futex(
        &self,
        pid: Pid,
        call: u64,
        mut registers: Registers,
    ) -> Result<(), Trouble> {
        let private = registers.rsi & libc::FUTEX_PRIVATE_FLAG as u64;
        if call as i64 != libc::SYS_futex || private == 0 || !heap::holds(registers.rdi) {
            return Ok(());
        }
        registers.rsi -= private;
        ptrace::setregs(pid, registers).map_err(broken("PTRACE_SETREGS"))
    }
}
