//! Message queues of this system.

use std::collections::HashMap;

use ipc_model::namespace;

use super::{creation, last_error, real_c};

/// Message queues.
#[derive(Default)]
pub(super) struct Queues {
    prefix: String,
    handles: HashMap<u8, libc::mqd_t>,
}

impl Queues {
    /// Queues whose names begin with this; notifications wait until somebody looks.
    pub(super) fn new(prefix: &str) -> Result<Self, String> {
        notices().thread_block().map_err(|e| e.to_string())?;
        Ok(Self { prefix: prefix.into(), ..Self::default() })
    }

    pub(super) fn call(&mut self, op: &namespace::Op) -> Result<namespace::Ret, String> {
        use namespace::{Access, Op, Ret};
        let queue = |handle: &u8| *self.handles.get(handle).unwrap_or(&-1);
        let status = match op {
            Op::Open { name, creation: create, access, mode, handle } => {
                let name = real_c(&self.prefix, name)?;
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
        Ok(if status < 0 { Ret::Refused(last_error()?) } else { Ret::Done })
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
            _ => last_error().map(namespace::Ret::Refused),
        };
        blocking(queue, false);
        ret
    }

    fn unlink(&self, name: &str) -> Result<i32, String> {
        let name = real_c(&self.prefix, name)?;
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
