//! What a process shares: its shared mappings, and the list that the kernel reads at its death.

use std::ops::Range;

use nix::unistd::Pid;

use super::control;
use super::tracer::PERMISSION;

/// One range of addresses that others see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Where.
    pub(super) range: Range<u64>,
    /// Where its first byte is in what is mapped.
    pub(super) offset: u64,
    /// What is mapped, as procfs names it.
    pub(super) name: String,
}

/// The name of what is private, and read by the kernel when its process dies.
const ROBUST_LIST: &str = "robust list";

/// All ranges that others see.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Vec<Mapping>);

impl Shared {
    /// Those of this process, now.
    pub(super) fn of(pid: Pid) -> Result<Self, String> {
        let path = format!("/proc/{pid}/maps");
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let mut mappings: Vec<Mapping> = text.lines().filter_map(parse).collect();
        // Where the kernel finds the robust mutexes that the process holds when it dies: private
        // memory, and the only such that outlives its process in its effect.
        mappings.extend(robust_list(pid)?);
        Ok(Self(mappings))
    }

    /// The mappings, without the robust list, which is of private memory.
    pub(super) fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.0.iter().filter(|m| m.name != ROBUST_LIST)
    }

    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.mappings().next().is_some()
    }

    /// The mapping that holds any of these bytes.
    pub(super) fn find(&self, address: u64, length: u64) -> Option<&Mapping> {
        let overlaps =
            |m: &&Mapping| m.range.start < address.saturating_add(length) && address < m.range.end;
        self.0.iter().find(overlaps)
    }
}

fn parse(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?.as_bytes();
    let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
    let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    let ours = range.start as usize == control::ADDRESS;
    let name = fields.nth(2).unwrap_or("anonymous").to_owned();
    (rights.get(3) == Some(&b's') && !ours).then_some(Mapping { range, offset, name })
}

fn robust_list(pid: Pid) -> Result<Option<Mapping>, String> {
    let mut head: u64 = 0;
    let mut length: usize = 0;
    let head_at: *mut u64 = &raw mut head;
    let length_at: *mut usize = &raw mut length;
    // SAFETY: both point to variables that live across the call, of the sizes it writes.
    let failed =
        unsafe { libc::syscall(libc::SYS_get_robust_list, pid.as_raw(), head_at, length_at) };
    if failed != 0 {
        let error = std::io::Error::last_os_error();
        return Err(format!("get_robust_list: {error}; {PERMISSION}"));
    }
    let name = ROBUST_LIST.to_owned();
    Ok((head != 0).then_some(Mapping { range: head..head + 24, offset: 0, name }))
}

/// Whether a system call can be seen by anybody but its caller.
pub(super) fn is_visible(number: u64) -> bool {
    !matches!(
        number as i64,
        libc::SYS_clock_gettime
            | libc::SYS_gettimeofday
            | libc::SYS_clock_getres
            | libc::SYS_time
            | libc::SYS_getpid
            | libc::SYS_gettid
            | libc::SYS_getppid
            | libc::SYS_getuid
            | libc::SYS_geteuid
            | libc::SYS_getgid
            | libc::SYS_getegid
            | libc::SYS_getcpu
            | libc::SYS_sched_yield
            | libc::SYS_nanosleep
            | libc::SYS_clock_nanosleep
            | libc::SYS_madvise
            | libc::SYS_brk
            | libc::SYS_mprotect
            | libc::SYS_rt_sigprocmask
            | libc::SYS_rt_sigaction
            | libc::SYS_getrandom
            | libc::SYS_fstat
            | libc::SYS_newfstatat
            | libc::SYS_sched_getaffinity
            | libc::SYS_poll
            | libc::SYS_ppoll
    )
}

/// Whether a system call can change what [`Shared::of`] answers.
pub(super) fn remaps(number: u64) -> bool {
    matches!(
        number as i64,
        libc::SYS_mmap
            | libc::SYS_munmap
            | libc::SYS_mremap
            | libc::SYS_shmat
            | libc::SYS_shmdt
            | libc::SYS_set_robust_list
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_mappings_count_and_not_the_control_page() {
        let shared = "7f0000000000-7f0000001000 rw-s 00002000 00:1a 42   /dev/shm/ring x";
        let mapping = parse(shared).unwrap();
        assert_eq!(mapping.range, 0x7f00_0000_0000..0x7f00_0000_1000);
        assert_eq!((mapping.offset, mapping.name.as_str()), (0x2000, "/dev/shm/ring"));
        assert_eq!(parse("7f0000000000-7f0000001000 rw-p 00000000 00:00 0"), None);
        let page = format!("{:x}-100000040000 rw-s 00000000 00:01 7 /memfd:x", control::ADDRESS);
        assert_eq!(parse(&page), None);
    }
}
