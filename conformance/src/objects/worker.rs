//! The worker: carries calls out on the real system, a line of JSON each, and answers what the
//! system said.

use std::collections::HashMap;
use std::ffi::CString;
use std::io::{BufRead, Write};

use ipc_model::machine::Errno;
use ipc_model::{namespace, region};
use serde::{Serialize, de::DeserializeOwned};

/// Serves calls on the system of this name until the input ends. The names of objects begin with
/// `prefix`.
///
/// # Errors
/// If the input is no call, or the system answers in a way that the model has no word for.
pub fn serve(system: &str, prefix: &str) -> Result<(), String> {
    // SAFETY: umask has no preconditions.
    unsafe { libc::umask(0) };
    match system {
        "posix-shm" => {
            let mut memory = Memory { prefix: prefix.into(), ..Memory::default() };
            lines(|op: &region::Op| memory.call(op))
        }
        "posix-mq" => {
            let notices = notices();
            notices.thread_block().map_err(|e| e.to_string())?;
            let mut queues = Queues { prefix: prefix.into(), ..Queues::default() };
            lines(|op: &namespace::Op| queues.call(op))
        }
        other => Err(format!("no system is called {other:?}")),
    }
}

fn lines<Op: DeserializeOwned, Ret: Serialize>(
    mut call: impl FnMut(&Op) -> Result<Ret, String>,
) -> Result<(), String> {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let op = serde_json::from_str(&line).map_err(|e| format!("{line}: {e}"))?;
        let answer = match call(&op) {
            Ok(ret) => serde_json::to_string(&ret).map_err(|e| e.to_string())?,
            Err(why) => why,
        };
        let mut output = std::io::stdout().lock();
        writeln!(output, "{answer}").and_then(|()| output.flush()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The system's last error, in the model's words.
fn refusal() -> Result<Errno, String> {
    let error = std::io::Error::last_os_error();
    Ok(match error.raw_os_error().unwrap_or(0) {
        libc::EEXIST => Errno::Exists,
        libc::ENOENT => Errno::Absent,
        libc::EACCES | libc::EPERM => Errno::Access,
        libc::EBADF => Errno::BadHandle,
        libc::EINVAL => Errno::Invalid,
        libc::ENAMETOOLONG => Errno::NameTooLong,
        libc::EAGAIN => Errno::Again,
        libc::EBUSY => Errno::Busy,
        libc::ETIMEDOUT => Errno::Expired,
        _ => return Err(error.to_string()),
    })
}

/// Names of one letter get the prefix of this program; odd ones and long ones go as they are.
fn real(prefix: &str, name: &str) -> Result<CString, String> {
    let plain = name.len() == 2 && name.starts_with('/');
    let name = if plain { format!("{prefix}{}", &name[1..]) } else { name.to_owned() };
    CString::new(name).map_err(|e| e.to_string())
}

fn creation(creation: region::Creation) -> i32 {
    match creation {
        region::Creation::Never => 0,
        region::Creation::OrOpen => libc::O_CREAT,
        region::Creation::Exclusive => libc::O_CREAT | libc::O_EXCL,
    }
}

/// Shared-memory objects.
#[derive(Default)]
struct Memory {
    prefix: String,
    handles: HashMap<u8, i32>,
    /// Where each mapping begins, and how long it is.
    mappings: HashMap<u8, (usize, usize)>,
}

impl Memory {
    fn call(&mut self, op: &region::Op) -> Result<region::Ret, String> {
        use region::{Op, Ret};
        let fd = |handles: &HashMap<u8, i32>, handle: &u8| *handles.get(handle).unwrap_or(&-1);
        let status = match op {
            Op::Open { name, creation: create, access, truncate, mode, handle } => {
                let name = real(&self.prefix, name)?;
                let access =
                    if *access == region::Access::ReadOnly { libc::O_RDONLY } else { libc::O_RDWR };
                let flags = access | creation(*create) | if *truncate { libc::O_TRUNC } else { 0 };
                // SAFETY: `name` is a string that ends with a zero and lives until the call returns.
                let fd = unsafe { libc::shm_open(name.as_ptr(), flags, u32::from(*mode)) };
                if fd >= 0 {
                    self.handles.insert(*handle, fd);
                }
                fd
            }
            // SAFETY: the call touches no memory of ours; a descriptor that is not open is refused.
            Op::SetSize { handle, size } => unsafe {
                libc::ftruncate(fd(&self.handles, handle), *size as i64)
            },
            Op::GetSize { handle } => {
                // SAFETY: all zeros is a `stat`, which has integers only.
                let mut stat: libc::stat = unsafe { std::mem::zeroed() };
                // SAFETY: `stat` is ours alone and as long as the call asks.
                let status = unsafe { libc::fstat(fd(&self.handles, handle), &raw mut stat) };
                if status == 0 {
                    return Ok(Ret::Size(stat.st_size as u64));
                }
                status
            }
            Op::Attach { handle, access, offset, length, mapping } => {
                let write = if *access == region::Access::ReadWrite { libc::PROT_WRITE } else { 0 };
                let protection = libc::PROT_READ | write;
                let fd = fd(&self.handles, handle);
                match map(fd, *offset as i64, *length as usize, protection) {
                    Some(mapped) => {
                        self.mappings.insert(*mapping, mapped);
                        0
                    }
                    None => -1,
                }
            }
            Op::Read { mapping, place, length } => {
                return self.access(*mapping, *place, &mut vec![0; *length as usize], false);
            }
            Op::Write { mapping, place, bytes } => {
                return self.access(*mapping, *place, &mut bytes.clone(), true);
            }
            Op::Detach { mapping } => match self.mappings.remove(mapping) {
                // SAFETY: the mapping is ours, and nothing refers to it any more.
                Some((start, length)) => unsafe {
                    libc::munmap(start as *mut libc::c_void, length + GAP)
                },
                None => 0,
            },
            Op::Close { handle } => {
                let fd = self.handles.remove(handle).unwrap_or(-1);
                // SAFETY: the descriptor is ours and forgotten with this.
                unsafe { libc::close(fd) }
            }
            Op::Unlink { name } => self.unlink(name)?,
            Op::Exit => return Err("a worker is ended from outside".into()),
        };
        Ok(if status < 0 { Ret::Refused(refusal()?) } else { Ret::Done })
    }

    fn unlink(&self, name: &str) -> Result<i32, String> {
        let name = real(&self.prefix, name)?;
        // SAFETY: `name` is a string that ends with a zero and lives until the call returns.
        Ok(unsafe { libc::shm_unlink(name.as_ptr()) })
    }

    /// Loads or stores, byte by byte, in a child that shares the mapping: a fault ends the child,
    /// and the signal tells which it was.
    fn access(
        &self,
        mapping: u8,
        place: u64,
        bytes: &mut [u8],
        write: bool,
    ) -> Result<region::Ret, String> {
        use region::{Fault, Ret};
        // Without a mapping: in the first page, where nothing is ever mapped.
        let start = self.mappings.get(&mapping).map_or(8, |(start, _)| *start) + place as usize;
        let (reader, mut writer) = std::io::pipe().map_err(|e| e.to_string())?;
        // SAFETY: this process has one thread, so the child may do whatever its parent may.
        let child = unsafe { libc::fork() };
        if child == 0 {
            for (i, byte) in bytes.iter_mut().enumerate() {
                let address = (start + i) as *mut u8;
                if write {
                    // SAFETY: it may fault, which is what the parent wants to know; the mapping is
                    // of an object that no Rust value lies in.
                    unsafe { address.write_volatile(*byte) };
                } else {
                    // SAFETY: as above.
                    *byte = unsafe { address.read_volatile() };
                }
            }
            let sent = writer.write_all(bytes).is_ok();
            // SAFETY: ends the child without running what belongs to its parent.
            unsafe { libc::_exit(if sent { 0 } else { 1 }) };
        }
        if child < 0 {
            return Err(std::io::Error::last_os_error().to_string());
        }
        drop(writer);
        let mut status = 0;
        // SAFETY: `status` is ours alone, and the child is our own.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        if libc::WIFSIGNALED(status) {
            return match libc::WTERMSIG(status) {
                libc::SIGSEGV => Ok(Ret::Faulted(Fault::Unmapped)),
                libc::SIGBUS => Ok(Ret::Faulted(Fault::BeyondEnd)),
                signal => Err(format!("the access was ended by signal {signal}")),
            };
        }
        if write {
            return Ok(Ret::Done);
        }
        let mut seen = vec![];
        std::io::Read::read_to_end(&mut { reader }, &mut seen).map_err(|e| e.to_string())?;
        Ok(Ret::read(&seen))
    }
}

/// How much behind every mapping is kept free, so that what lies behind its end is nobody's.
const GAP: usize = 1 << 16;

/// Maps the object behind `fd`, with a gap behind it; answers where, and how long. `None`: the
/// system refuses, and says why in `errno`.
fn map(fd: i32, offset: i64, length: usize, protection: i32) -> Option<(usize, usize)> {
    let (anywhere, hidden) = (std::ptr::null_mut(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: the system chooses an address that nothing uses.
    let room = unsafe { libc::mmap(anywhere, length + GAP, libc::PROT_NONE, hidden, -1, 0) };
    if room == libc::MAP_FAILED {
        return None;
    }
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: the place is the room that was made just now, which nothing else uses.
    let start = unsafe { libc::mmap(room, length, protection, flags, fd, offset) };
    if start == libc::MAP_FAILED {
        let why = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        // SAFETY: the room is ours, and nothing refers to it.
        unsafe { libc::munmap(room, length + GAP) };
        nix::errno::Errno::set_raw(why);
        return None;
    }
    Some((start as usize, length))
}

/// Takes away what objects of this prefix have left behind, as far as this user may.
pub(super) fn remove(system: &str, prefix: &str) {
    for name in ["/a", "/b"] {
        let Ok(name) = real(prefix, name) else { continue };
        // That it is not there is what is wanted.
        let _ = match system {
            "posix-shm" => nix::sys::mman::shm_unlink(name.as_c_str()),
            _ => nix::mqueue::mq_unlink(name.as_c_str()),
        };
    }
}

/// Message queues.
#[derive(Default)]
struct Queues {
    prefix: String,
    handles: HashMap<u8, libc::mqd_t>,
}

impl Queues {
    fn call(&mut self, op: &namespace::Op) -> Result<namespace::Ret, String> {
        use namespace::{Access, Op, Ret};
        let queue = |handle: &u8| *self.handles.get(handle).unwrap_or(&-1);
        let status = match op {
            Op::Open { name, creation: create, access, mode, handle } => {
                let name = real(&self.prefix, name)?;
                let access = match access {
                    Access::Take => libc::O_RDONLY,
                    Access::Put => libc::O_WRONLY,
                    Access::Both => libc::O_RDWR,
                };
                let flags = access | creation(*create) | libc::O_NONBLOCK;
                // SAFETY: all zeros is an `mq_attr`, which has integers only.
                let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
                (attributes.mq_maxmsg, attributes.mq_msgsize) = (PLACES, 4);
                let mode = libc::mode_t::from(*mode);
                // SAFETY: `name` and `attributes` live until the call returns.
                let queue =
                    unsafe { libc::mq_open(name.as_ptr(), flags, mode, &raw mut attributes) };
                if queue >= 0 {
                    self.handles.insert(*handle, queue);
                }
                queue
            }
            Op::Put { handle, value } => {
                let bytes = value.to_le_bytes();
                // SAFETY: the message is as long as the call is told.
                unsafe { libc::mq_send(queue(handle), bytes.as_ptr().cast(), bytes.len(), 0) }
            }
            Op::Take { handle } => {
                let mut bytes = [0_u8; 4];
                let length = bytes.len();
                // SAFETY: the buffer is ours alone and as long as the call is told.
                let taken = unsafe {
                    let buffer = bytes.as_mut_ptr().cast();
                    libc::mq_receive(queue(handle), buffer, length, std::ptr::null_mut())
                };
                if taken == 4 {
                    return Ok(Ret::Taken(u32::from_le_bytes(bytes)));
                }
                taken as i32
            }
            Op::Wait { handle } => return self.wait(queue(handle)),
            Op::Notify { handle } => {
                // SAFETY: all zeros is a `sigevent`; what matters of it is set below.
                let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
                (event.sigev_notify, event.sigev_signo) = (libc::SIGEV_SIGNAL, NOTICE);
                // SAFETY: `event` lives until the call returns.
                unsafe { libc::mq_notify(queue(handle), &raw const event) }
            }
            // SAFETY: the call takes back what there is, and touches no memory of ours.
            Op::Forget { handle } => unsafe { libc::mq_notify(queue(handle), std::ptr::null()) },
            Op::Look => return look(),
            Op::Close { handle } => {
                let queue = self.handles.remove(handle).unwrap_or(-1);
                // SAFETY: the descriptor is ours and forgotten with this.
                unsafe { libc::mq_close(queue) }
            }
            Op::Unlink { name } => self.unlink(name)?,
            Op::Exit => return Err("a worker is ended from outside".into()),
        };
        Ok(if status < 0 { Ret::Refused(refusal()?) } else { Ret::Done })
    }

    /// A take that waits for a few milliseconds.
    fn wait(&self, queue: libc::mqd_t) -> Result<namespace::Ret, String> {
        blocking(queue, true);
        // SAFETY: all zeros is a time.
        let mut deadline: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: `deadline` is ours alone.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut deadline) };
        deadline.tv_nsec += PATIENCE;
        if deadline.tv_nsec >= 1_000_000_000 {
            (deadline.tv_sec, deadline.tv_nsec) =
                (deadline.tv_sec + 1, deadline.tv_nsec - 1_000_000_000);
        }
        let mut bytes = [0_u8; 4];
        let (buffer, length) = (bytes.as_mut_ptr().cast(), bytes.len());
        let none = std::ptr::null_mut();
        // SAFETY: the buffer is ours alone and as long as the call is told.
        let taken =
            unsafe { libc::mq_timedreceive(queue, buffer, length, none, &raw const deadline) };
        let ret = match taken {
            4 => Ok(namespace::Ret::Taken(u32::from_le_bytes(bytes))),
            _ => refusal().map(namespace::Ret::Refused),
        };
        blocking(queue, false);
        ret
    }

    fn unlink(&self, name: &str) -> Result<i32, String> {
        let name = real(&self.prefix, name)?;
        // SAFETY: `name` is a string that ends with a zero and lives until the call returns.
        Ok(unsafe { libc::mq_unlink(name.as_ptr()) })
    }
}

/// How many messages a queue holds.
const PLACES: libc::c_long = 2;

/// How long a take that waits does so, in nanoseconds.
const PATIENCE: libc::c_long = 3_000_000;

/// The signal that tells of a message; signals of its kind queue up.
const NOTICE: libc::c_int = 40;

/// The set of that signal alone.
fn notices() -> nix::sys::signal::SigSet {
    // SAFETY: all zeros is a set, which `sigemptyset` fills in.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is ours alone.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: as above, and the number is that of a signal.
    unsafe { libc::sigaddset(&raw mut set, NOTICE) };
    // SAFETY: the set was filled in by the two calls.
    unsafe { nix::sys::signal::SigSet::from_sigset_t_unchecked(set) }
}

/// Counts the notifications that have come, and takes them away.
fn look() -> Result<namespace::Ret, String> {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let notices = notices();
    let mut count = 0;
    loop {
        let nobody = std::ptr::null_mut();
        // SAFETY: set and time live until the call returns, which may leave out who sent it.
        if unsafe { libc::sigtimedwait(notices.as_ref(), nobody, &raw const at_once) } < 0 {
            return match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EAGAIN) => Ok(namespace::Ret::Notified(count)),
                Some(libc::EINTR) => continue,
                _ => Err(std::io::Error::last_os_error().to_string()),
            };
        }
        count += 1;
    }
}

/// Whether calls on the queue wait; one that is not open is refused by the call that follows.
fn blocking(queue: libc::mqd_t, wait: bool) {
    // SAFETY: all zeros is an `mq_attr`, which has integers only.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    attributes.mq_flags = if wait { 0 } else { libc::c_long::from(libc::O_NONBLOCK) };
    // SAFETY: `attributes` lives until the call returns.
    unsafe { libc::mq_setattr(queue, &raw const attributes, std::ptr::null_mut()) };
}
