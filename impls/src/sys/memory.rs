//! Memory that processes can share: how long an object is, how much of it is there, and mapping it.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::fd::OwnedFd;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, fcntl};

use super::fault::{Fault, check_length};
use super::{errno, page};

/// A nameless object that is `bytes` long for ever, with memory behind the first `reserved` of
/// them: nobody can shrink it under our feet.
pub(crate) fn sealed_memory(reserved: u64, bytes: u64) -> nix::Result<File> {
    use nix::fcntl::SealFlag;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file: OwnedFd = memfd_create(c"ipc-link", flags)?;
    let file = File::from(file);
    allocate(&file, reserved)?;
    lengthen(&file, bytes)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// Whether nobody can shrink this object.
pub(crate) fn is_sealed(file: &File) -> bool {
    let seals = fcntl(file, FcntlArg::F_GET_SEALS);
    // A file of another kind has none.
    seals.is_ok_and(|seals| seals & libc::F_SEAL_SHRINK != 0)
}

/// Makes `file` `bytes` long with memory behind every one of them, so that a full file system is
/// an error here and not a SIGBUS at the first touch.
pub(crate) fn allocate(file: &File, bytes: u64) -> nix::Result<()> {
    check_available(bytes)?;
    check_length(bytes)?;
    let bytes = libc::off_t::try_from(bytes).map_err(|_| Errno::EFBIG)?;
    loop {
        match nix::fcntl::posix_fallocate(file, 0, bytes) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Makes `file` `bytes` long, and to the end of the page, without memory behind what is new.
pub(crate) fn lengthen(file: &File, bytes: u64) -> nix::Result<()> {
    let bytes = bytes.checked_next_multiple_of(page() as u64).ok_or(Errno::EFBIG)?;
    check_length(bytes)?;
    let bytes = libc::off_t::try_from(bytes).map_err(|_| Errno::EFBIG)?;
    nix::unistd::ftruncate(file, bytes)
}

/// Puts memory behind a range of `file`, without a change of its length.
pub(crate) fn allocate_range(file: &File, range: Range<u64>) -> nix::Result<()> {
    check_available(range.end - range.start)?;
    change_range(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, range)
}

/// Gives the memory behind a range of `file` back; the range reads as zeroes afterwards.
pub(crate) fn punch(file: &File, range: Range<u64>) -> nix::Result<()> {
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    change_range(file, hole, range)
}

fn change_range(file: &File, how: FallocateFlags, range: Range<u64>) -> nix::Result<()> {
    let from = libc::off_t::try_from(range.start).map_err(|_| Errno::EFBIG)?;
    let bytes = libc::off_t::try_from(range.end - range.start).map_err(|_| Errno::EFBIG)?;
    loop {
        match nix::fcntl::fallocate(file, how, from, bytes) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Refuses what the machine does not have.
///
/// The kernel hands out memory until none is left and then kills processes: a nameless object has
/// no limit at all, and that of `/dev/shm` may be beyond what the machine has. So we ask first.
fn check_available(bytes: u64) -> nix::Result<()> {
    match available_memory() {
        Some(available) if bytes > available => Err(Errno::ENOSPC),
        _ => Ok(()),
    }
}

/// How much memory the kernel believes it can still hand out, in bytes. Asking takes none.
fn available_memory() -> Option<u64> {
    let mut first = [0; 256];
    let read = File::open("/proc/meminfo").ok()?.read(&mut first).ok()?;
    let text = std::str::from_utf8(&first[..read]).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Maps the whole of `file`, `bytes` long, for reading and writing.
pub(crate) fn map(file: &File, bytes: usize) -> Result<MmapRaw, Fault> {
    let map = MmapOptions::new().len(bytes).map_raw(file);
    map.map_err(|error| Fault { call: "mmap", errno: errno(&error) })
}

/// Maps the whole of `file`, `bytes` long, for reading alone.
pub(crate) fn map_for_reading(file: &File, bytes: usize) -> Result<MmapRaw, Fault> {
    let map = MmapOptions::new().len(bytes).map_raw_read_only(file);
    map.map_err(|error| Fault { call: "mmap", errno: errno(&error) })
}
