//! Time in a world: nobody waits for it. Where a process sleeps up to a deadline, and nobody runs
//! who could wake it, the deadline comes at once, and all clocks of the world are ahead from then
//! on by what was left.
//!
//! So a link that looks after its peers every fifty milliseconds costs as little as one that is
//! told, and takes the same path each time.

use std::time::Duration;

use libc::user_regs_struct as Registers;
use nix::unistd::Pid;

/// A system call that somebody sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sleep {
    /// Its number.
    pub(super) call: u64,
    /// Where the stack was when it was made, and where it was made.
    pub(super) at: (u64, u64),
    arguments: [u64; 6],
}

/// How long a system call sleeps if nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    /// For good.
    Never,
    /// For as long as this structure says.
    After { at: u64 },
    /// So long.
    In(Duration),
    /// Until this clock shows what the structure says.
    When { clock: libc::clockid_t, at: u64 },
    /// It is not known.
    Unknown,
}

/// The system call that the process sleeps in, if it sleeps.
pub(super) fn sleep_of(pid: Pid) -> Option<Sleep> {
    if crate::worker::state_of(pid.as_raw() as u32, pid.as_raw() as u32)? != 'S' {
        return None;
    }
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    parse(&text)
}

fn parse(text: &str) -> Option<Sleep> {
    let mut fields = text.split_ascii_whitespace();
    let call = fields.next()?.parse().ok()?;
    let mut rest = fields.map(|f| u64::from_str_radix(f.trim_start_matches("0x"), 16));
    let mut next = || rest.next()?.ok();
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = next()?;
    }
    Some(Sleep { call, arguments, at: (next()?, next()?) })
}

impl Sleep {
    /// When it ends if nothing happens.
    pub(super) fn deadline(&self) -> Deadline {
        let argument = |i: usize| self.arguments[i];
        let after = |at| if at == 0 { Deadline::Never } else { Deadline::After { at } };
        let milliseconds = |value: u64| match value as i32 {
            ..0 => Deadline::Never,
            n => Deadline::In(Duration::from_millis(n as u64)),
        };
        let when = |clock, at| match at {
            0 => Deadline::Never,
            at => Deadline::When { clock, at },
        };
        match self.call as i64 {
            libc::SYS_futex => {
                let (operation, at) = (argument(1) as i32, argument(3));
                let clock = match operation & libc::FUTEX_CLOCK_REALTIME {
                    0 => libc::CLOCK_MONOTONIC,
                    _ => libc::CLOCK_REALTIME,
                };
                match operation & libc::FUTEX_CMD_MASK {
                    libc::FUTEX_WAIT => after(at),
                    libc::FUTEX_LOCK_PI => when(libc::CLOCK_REALTIME, at),
                    _ => when(clock, at),
                }
            }
            libc::SYS_poll => milliseconds(argument(2)),
            libc::SYS_ppoll => after(argument(2)),
            libc::SYS_epoll_wait | libc::SYS_epoll_pwait => milliseconds(argument(3)),
            libc::SYS_nanosleep => after(argument(0)),
            libc::SYS_clock_nanosleep if argument(1) as i32 & libc::TIMER_ABSTIME != 0 => {
                when(argument(0) as libc::clockid_t, argument(2))
            }
            libc::SYS_clock_nanosleep => after(argument(2)),
            libc::SYS_mq_timedsend | libc::SYS_mq_timedreceive => {
                when(libc::CLOCK_REALTIME, argument(4))
            }
            libc::SYS_semtimedop => after(argument(3)),
            libc::SYS_read | libc::SYS_write | libc::SYS_readv | libc::SYS_writev => {
                Deadline::Never
            }
            libc::SYS_preadv2 | libc::SYS_pwritev2 | libc::SYS_recvmsg | libc::SYS_sendmsg => {
                Deadline::Never
            }
            libc::SYS_recvfrom | libc::SYS_sendto | libc::SYS_flock | libc::SYS_accept4 => {
                Deadline::Never
            }
            libc::SYS_msgsnd | libc::SYS_msgrcv | libc::SYS_semop => Deadline::Never,
            _ => Deadline::Unknown,
        }
    }

    /// What the call answers when its deadline comes.
    pub(super) fn expired(&self) -> i64 {
        match self.call as i64 {
            libc::SYS_futex | libc::SYS_mq_timedsend | libc::SYS_mq_timedreceive => {
                -i64::from(libc::ETIMEDOUT)
            }
            libc::SYS_semtimedop => -i64::from(libc::EAGAIN),
            _ => 0,
        }
    }
}

/// Whether a system call that answers this has been interrupted, and would be made again.
pub(super) fn is_interrupted(answer: u64) -> bool {
    // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and ERESTART_RESTARTBLOCK, which only a tracer
    // ever sees; and EINTR, which some calls answer at once.
    matches!(answer as i64, -516 | -514..=-512) || answer as i64 == -i64::from(libc::EINTR)
}

/// Where the answer of the clock lies that this system call has just read, if it has.
pub(super) fn read_clock(call: u64, after: &Registers) -> Option<u64> {
    let answered = call as i64 == libc::SYS_clock_gettime && after.rax == 0;
    // Those that measure what a process has used do not run ahead.
    let common = matches!(
        after.rdi as libc::clockid_t,
        libc::CLOCK_REALTIME
            | libc::CLOCK_MONOTONIC
            | libc::CLOCK_MONOTONIC_RAW
            | libc::CLOCK_REALTIME_COARSE
            | libc::CLOCK_MONOTONIC_COARSE
            | libc::CLOCK_BOOTTIME
    );
    (answered && common).then_some(after.rsi)
}

/// What the clock shows in this process, the controller.
pub(super) fn now(clock: libc::clockid_t) -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::from_raw(clock));
    time.map_or(Duration::ZERO, Duration::from)
}

/// Clocks that go evenly: each time they are read they show a microsecond more. What computes with
/// the time then takes the same path in each world.
#[derive(Clone, Copy, Debug)]
pub(super) struct EvenClock {
    reads: u32,
    realtime: Duration,
    monotonic: Duration,
}

impl EvenClock {
    /// They begin further ahead of the true time than an operation is ever stepped for, or a
    /// deadline would come before its world has it come; and with the same fraction of a second
    /// each time.
    pub(super) fn begin() -> Self {
        const STEP: u64 = 100;
        let next = |clock| Duration::from_secs((now(clock).as_secs() / STEP + 2) * STEP);
        let (realtime, monotonic) = (next(libc::CLOCK_REALTIME), next(libc::CLOCK_MONOTONIC));
        Self { reads: 0, realtime, monotonic }
    }

    /// What this clock shows.
    pub(super) fn shows(&self, clock: libc::clockid_t) -> Duration {
        let realtime = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE);
        let begin = if realtime { self.realtime } else { self.monotonic };
        begin + Duration::from_micros(self.reads.into())
    }

    /// The same, for one who reads it.
    pub(super) fn read(&mut self, clock: libc::clockid_t) -> Duration {
        self.reads += 1;
        self.shows(clock)
    }
}

/// The words of a `timespec`, as a time.
pub(super) fn of_words(seconds: u64, nanoseconds: u64) -> Duration {
    Duration::new(seconds, 0).saturating_add(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_deadline_of_even_clocks_comes_while_an_operation_is_stepped() {
        let even = EvenClock::begin();
        for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
            let ahead = even.shows(clock).checked_sub(now(clock)).unwrap();
            assert!(ahead > Duration::from_secs(99), "{ahead:?} ahead");
        }
    }

    #[test]
    fn a_sleep_is_read_from_procfs_with_its_deadline() {
        let text = "202 0x7ffff7fb6040 0x189 0x0 0x7fffffffd5d0 0x0 0xffffffff 0x7ff0 0x7ff1";
        let sleep = parse(text).unwrap();
        assert_eq!((sleep.call, sleep.at), (202, (0x7ff0, 0x7ff1)));
        let expected = Deadline::When { clock: libc::CLOCK_REALTIME, at: 0x7fff_ffff_d5d0 };
        assert_eq!(sleep.deadline(), expected);
        assert_eq!(sleep.expired(), -110);
        let text = "7 0x7ffff7fb6040 0x1 0xffffffff 0x0 0x0 0x0 0x7ff0 0x7ff1";
        assert_eq!(parse(text).unwrap().deadline(), Deadline::Never);
        let text = "7 0x7ffff7fb6040 0x1 0x32 0x0 0x0 0x0 0x7ff0 0x7ff1";
        assert_eq!(parse(text).unwrap().deadline(), Deadline::In(Duration::from_millis(50)));
        assert_eq!(parse("running"), None);
    }
}
