//! The one door to the kernel.

pub(crate) mod bus;
mod fault;
pub(crate) mod futex;
mod memory;

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mqueue::MqdT;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::socket::{MsgFlags, SockFlag, recvmsg, send, sendmsg};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

pub use fault::Fault;
pub(crate) use fault::has_descriptor_left;
pub(crate) use memory::{
    allocate, allocate_range, is_sealed, lengthen, map, map_for_reading, punch, sealed_memory,
};

/// The monotonic clock, which all processes of a machine share.
pub(crate) fn now() -> Duration {
    monotonic(ClockId::CLOCK_MONOTONIC)
}

/// The same clock as the kernel last noted it, some milliseconds ago: for a fifth of the price.
pub(crate) fn lately() -> Duration {
    monotonic(ClockId::CLOCK_MONOTONIC_COARSE)
}

fn monotonic(clock: ClockId) -> Duration {
    match clock_gettime(clock) {
        Ok(time) => Duration::new(time.tv_sec().unsigned_abs(), time.tv_nsec() as u32),
        // The kernel refuses only clocks it does not have, and it always has this one.
        Err(_) => Duration::ZERO,
    }
}

/// The wall clock, since 1970. Only for system calls that know no other.
pub(crate) fn wall_clock() -> Duration {
    match clock_gettime(ClockId::CLOCK_REALTIME) {
        Ok(time) => Duration::new(time.tv_sec().unsigned_abs(), time.tv_nsec() as u32),
        Err(_) => Duration::ZERO,
    }
}

/// A time as the kernel wants it, as late as it can be told.
fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// CPUs of the machine that are switched on.
pub(crate) fn cpus() -> i64 {
    // Not an answer that anything but speed rests on.
    sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1)
}

/// The length of a page of memory.
pub(crate) fn page() -> usize {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    page.and_then(|page| usize::try_from(page).ok()).unwrap_or(4096)
}

/// A queue that is closed when it is dropped, which nix leaves to the caller.
pub(crate) fn mq_owned(queue: MqdT) -> OwnedFd {
    // SAFETY: on Linux a queue is a file descriptor, and `queue` was its only owner.
    unsafe { OwnedFd::from_raw_fd(queue.into_raw_fd()) }
}

/// Sends to a POSIX message queue, at the latest at `deadline` on the wall clock, and without one
/// whenever there is room. A deadline in the past sends at once or not at all.
pub(crate) fn mq_send(
    queue: BorrowedFd<'_>,
    message: &[u8],
    priority: u32,
    deadline: Option<Duration>,
) -> nix::Result<()> {
    let deadline = deadline.map(timespec);
    let deadline = deadline.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    loop {
        // SAFETY: the kernel reads the message and the deadline, which live until it returns.
        let sent = unsafe {
            libc::mq_timedsend(
                queue.as_raw_fd(),
                message.as_ptr().cast(),
                message.len(),
                priority,
                deadline,
            )
        };
        match Errno::result(sent) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives from a POSIX message queue, likewise. The buffer must have room for the longest.
pub(crate) fn mq_receive(
    queue: BorrowedFd<'_>,
    buffer: &mut [u8],
    deadline: Option<Duration>,
) -> nix::Result<usize> {
    let deadline = deadline.map(timespec);
    let deadline = deadline.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    loop {
        // SAFETY: the kernel writes to the buffer no more than its length, and reads the deadline,
        // and both live until it returns.
        let received = unsafe {
            libc::mq_timedreceive(
                queue.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                std::ptr::null_mut(),
                deadline,
            )
        };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            // Not negative, or it would be an error.
            other => return other.map(|length| length as usize),
        }
    }
}

/// Asks for a signal when a message comes into an empty queue, or takes that back.
pub(crate) fn mq_notify(queue: BorrowedFd<'_>, signal: Option<Signal>) -> nix::Result<()> {
    let event =
        signal.map(|signal| SigEvent::new(SigevNotify::SigevSignal { signal, si_value: 0 }));
    let event = event.map(|event| event.sigevent());
    let event = event.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel reads the event, which lives until the call returns, or none.
    Errno::result(unsafe { libc::mq_notify(queue.as_raw_fd(), event) }).map(drop)
}

/// How [`shm_open`] treats a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It must be new.
    Exclusive,
    /// It must be there.
    Existing,
    /// Either.
    Either,
    /// It must be there, and is only read.
    Reading,
}

/// Opens a POSIX shared-memory object, readable and writable by its owner alone.
pub(crate) fn shm_open(name: &CString, opening: Opening) -> nix::Result<File> {
    let how = match opening {
        Opening::Exclusive => OFlag::O_CREAT | OFlag::O_EXCL,
        Opening::Existing | Opening::Reading => OFlag::empty(),
        Opening::Either => OFlag::O_CREAT,
    };
    let rights = if opening == Opening::Reading { OFlag::O_RDONLY } else { OFlag::O_RDWR };
    let flags = how | rights | OFlag::O_CLOEXEC;
    let file = nix::sys::mman::shm_open(name.as_c_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(File::from(file))
}

pub(crate) fn shm_unlink(name: &CString) -> nix::Result<()> {
    nix::sys::mman::shm_unlink(name.as_c_str())
}

/// A second open file description of the same object. Byte locks belong to a description, so
/// each end of a link needs its own.
pub(crate) fn reopen(file: &File) -> Result<File, Fault> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // The standard library opens with O_CLOEXEC.
    let opened = File::options().read(true).write(true).open(path);
    opened.map_err(|error| Fault { call: "open", errno: errno(&error) })
}

/// What the system said, in an error of the standard library.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// Takes the lock on one byte of `file` for this open file description, if it is free.
/// The kernel gives it back when the last reference to the description ends, whatever ends it.
pub(crate) fn lock_byte(file: &File, byte: u16) -> nix::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_WRLCK, byte))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(other) => Err(other),
    }
}

pub(crate) fn unlock_byte(file: &File, byte: u16) -> nix::Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_UNLCK, byte))).map(drop)
}

/// Whether another open file description holds the lock on one byte of `file`.
pub(crate) fn is_byte_locked(file: &File, byte: u16) -> bool {
    let mut lock = byte_lock(libc::F_WRLCK, byte);
    let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock));
    // No answer is no proof of death.
    asked.is_err() || libc::c_int::from(lock.l_type) != libc::F_UNLCK
}

fn byte_lock(kind: libc::c_int, byte: u16) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte.into(),
        l_len: 1,
        l_pid: 0,
    }
}

/// Sends the parts as one message, or as much of them as there is room for on a stream. A peer
/// that is gone is an error and no signal.
pub(crate) fn send_parts<const N: usize>(
    socket: BorrowedFd<'_>,
    parts: [&[u8]; N],
    flags: MsgFlags,
) -> nix::Result<usize> {
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    let mut short = [0; SHORT];
    if let Some(length) = joined(&parts, &mut short) {
        return again(|| send(socket.as_raw_fd(), &short[..length], flags));
    }
    let parts = parts.map(IoSlice::new);
    again(|| sendmsg::<()>(socket.as_raw_fd(), &parts, &[], flags, None))
}

/// Writes the parts at once, or as much of them as there is room for.
pub(crate) fn write_parts<const N: usize>(
    fd: BorrowedFd<'_>,
    parts: [&[u8]; N],
) -> nix::Result<usize> {
    let mut short = [0; SHORT];
    if let Some(length) = joined(&parts, &mut short) {
        return again(|| nix::unistd::write(fd, &short[..length]));
    }
    let parts = parts.map(IoSlice::new);
    again(|| nix::sys::uio::writev(fd, &parts))
}

/// Up to so many bytes are copied together: the kernel takes one short buffer faster than several.
const SHORT: usize = 2048;

/// The length of all parts, which stand together in `short` now, if they have room there.
fn joined(parts: &[&[u8]], short: &mut [u8; SHORT]) -> Option<usize> {
    let mut length = 0;
    for part in parts {
        short.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    Some(length)
}

/// Receives bytes; 0 at the end of a stream.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: MsgFlags,
) -> nix::Result<usize> {
    again(|| nix::sys::socket::recv(socket.as_raw_fd(), buffer, flags))
}

/// Receives one packet into two parts; its whole length, which may be more than there was room.
pub(crate) fn receive_parts(
    socket: BorrowedFd<'_>,
    parts: [&mut [u8]; 2],
    flags: MsgFlags,
) -> nix::Result<usize> {
    let flags = flags | MsgFlags::MSG_TRUNC;
    let [first, second] = parts;
    let room = first.len() + second.len();
    let mut short = [0; SHORT];
    if let Some(short) = short.get_mut(..room) {
        let length = receive(socket, short, flags)?;
        let (start, rest) = short.split_at(first.len());
        first.copy_from_slice(start);
        second.copy_from_slice(rest);
        return Ok(length);
    }
    let mut parts = [first, second].map(IoSliceMut::new);
    again(|| {
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, flags);
        message.map(|message| message.bytes)
    })
}

/// Sleeps until one of the events, or until the time is up, which is `false`.
pub(crate) fn poll(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    left: Option<Duration>,
) -> nix::Result<bool> {
    let deadline = left.map(|left| now().saturating_add(left));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_sub(now()));
        // The kernel takes no time beyond this.
        let left = left.map(|left| TimeSpec::from(left.min(Duration::from_secs(1 << 31))));
        match ppoll(&mut [PollFd::new(fd, events)], left, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(|ready| ready > 0),
        }
    }
}

/// Repeats a call that a signal has interrupted.
pub(crate) fn again<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The next connection to a listening socket.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let accepted = nix::sys::socket::accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(accepted) })
}

/// Opens what a descriptor refers to once more, as a description of its own.
pub(crate) fn open_again(fd: BorrowedFd<'_>, options: &OpenOptions) -> Result<File, Fault> {
    let opened = options.open(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    opened.map_err(|error| Fault { call: "open", errno: errno(&error) })
}

/// How many bytes wait in a pipe.
pub(crate) fn unread(pipe: &File) -> nix::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, which lives until the call returns.
    Errno::result(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    // The kernel counts up from 0.
    Ok(bytes as usize)
}

/// A number that no other end draws.
pub(crate) fn random() -> u64 {
    // The standard library seeds each of these from the kernel's randomness.
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id())
}

/// Finds or makes a System V queue.
pub(crate) fn msg_get(key: i32, flags: i32) -> nix::Result<i32> {
    // SAFETY: msgget takes numbers alone.
    Errno::result(unsafe { libc::msgget(key, flags) })
}

/// Removes a System V queue.
pub(crate) fn msg_remove(id: i32) -> nix::Result<()> {
    // SAFETY: IPC_RMID takes no buffer, so a null pointer is never followed.
    Errno::result(unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// Sends to a System V queue, by way of `place`, which has room for a type and the message.
pub(crate) fn msg_send(
    id: i32,
    place: &mut [libc::c_long],
    kind: libc::c_long,
    message: &[u8],
    flags: i32,
) -> nix::Result<()> {
    assert!((place.len() - 1) * size_of::<libc::c_long>() >= message.len(), "no room");
    place[0] = kind;
    let text: *mut u8 = place[1..].as_mut_ptr().cast();
    // SAFETY: there is room for the message behind the type (asserted), and the two are apart.
    unsafe { std::ptr::copy_nonoverlapping(message.as_ptr(), text, message.len()) };
    again(|| {
        // SAFETY: the place holds a type and as many bytes behind it; the call only reads them.
        Errno::result(unsafe { libc::msgsnd(id, place.as_ptr().cast(), message.len(), flags) })
    })
    .map(drop)
}

/// Receives from a System V queue, likewise; a message that does not fit stays there.
pub(crate) fn msg_receive(
    id: i32,
    place: &mut [libc::c_long],
    types: libc::c_long,
    buffer: &mut [u8],
    flags: i32,
) -> nix::Result<usize> {
    let room = buffer.len().min((place.len() - 1) * size_of::<libc::c_long>());
    let length = again(|| {
        // SAFETY: the place has room for a type and so many bytes, and nobody else has it.
        Errno::result(unsafe { libc::msgrcv(id, place.as_mut_ptr().cast(), room, types, flags) })
    })?;
    // Not negative, or it would be an error.
    let length = length as usize;
    let text: *const u8 = place[1..].as_ptr().cast();
    // SAFETY: the kernel has written so many bytes behind the type, no more than the buffer has.
    unsafe { std::ptr::copy_nonoverlapping(text, buffer.as_mut_ptr(), length) };
    Ok(length)
}
