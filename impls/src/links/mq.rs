//! A POSIX message queue: the kernel keeps the messages.
//!
//! * **Capacity** and the longest message are fixed when the queue is made; the system limits
//!   both (`/proc/sys/fs/mqueue`). **Order** is by priority, which is always 0 here unless
//!   [`Sender::send_with_priority`] says otherwise, then first in, first out.
//! * **Cost.** One system call for each message, on either side.
//! * **Closing.** The kernel does not say who has a queue open, so nobody ever learns that the
//!   other side is gone: a call that waits goes on waiting. Messages stay until they are received
//!   or the queue is unlinked and closed by all, also when a process is killed.
//! * **Waiting for several things.** An end is a descriptor that can be polled, and a receiver can
//!   ask for a signal ([`Receiver::notify`]).
//! * **Time limits** are against the system's wall clock, because `mq_timedsend` knows no other.
//!   If that clock is set forward meanwhile we wait again for the rest; if it is set back, a wait
//!   is longer than it should be.

#[cfg(all(test, not(loom)))]
mod tests;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, mq_attr_member_t};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use super::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd, Size,
    TryReceiveError, TrySendError,
};
use crate::shm::name::{Name, NameError};
use crate::sys::{self, Fault};

pub use crate::shm::object::UnlinkError;

/// Why a queue was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Somebody has this name.
    #[error("a queue named {0} exists; open it, unlink it, or choose another name")]
    Exists(Name),
    /// More, or less, than the system allows for one queue.
    #[error(
        "the system allows no queue of {capacity} messages of {longest} bytes; \
         see /proc/sys/fs/mqueue/msg_max and msgsize_max"
    )]
    Limit {
        /// As asked for.
        capacity: usize,
        /// As asked for.
        longest: usize,
    },
    /// More than this user may have in all queues.
    #[error("all queues of this user would hold too many bytes; see `ulimit -q`")]
    UserLimit,
    /// More queues than the system allows.
    #[error("there are too many queues; see /proc/sys/fs/mqueue/queues_max")]
    TooMany,
    /// The system does not let us.
    #[error("permission to make {0} is refused")]
    Denied(Name),
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}

/// Why a queue was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody made it, or somebody unlinked it.
    #[error("there is no queue named {0}; make it first")]
    NotFound(Name),
    /// It belongs to somebody else.
    #[error("permission to open {0} is refused; it is for its owner alone")]
    Denied(Name),
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}

/// Why a queue was neither made nor opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub enum OpenOrCreateError {
    /// It was not there.
    Create(#[from] CreateError),
    /// It was there.
    Open(#[from] OpenError),
}

/// Why nobody will be notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The kernel notifies one process alone.
    #[error("somebody waits for a notification of this queue already; poll its descriptor instead")]
    Taken,
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}

/// A queue, open in this process. Dropping it removes nothing.
#[derive(Debug)]
pub struct Queue {
    queue: OwnedFd,
    capacity: usize,
    longest: usize,
}

/// An end that sends.
#[derive(Debug)]
pub struct Sender(Queue);

/// An end that receives.
#[derive(Debug)]
pub struct Receiver(Queue);

impl Queue {
    /// Makes a queue whose name must be new. Its owner alone can open it (mode 0600).
    pub fn create(name: &str, capacity: usize, longest: usize) -> Result<Queue, CreateError> {
        let name = Name::new(name)?;
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
        let limit = CreateError::Limit { capacity, longest };
        let number = |n: usize| mq_attr_member_t::try_from(n).map_err(|_| limit.clone());
        let attr = MqAttr::new(0, number(capacity)?, number(longest)?, 0);
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        match nix::mqueue::mq_open(name.as_c().as_c_str(), flags, mode, Some(&attr)) {
            Ok(queue) => Ok(Queue { queue: sys::mq_owned(queue), capacity, longest }),
            Err(Errno::EEXIST) => Err(CreateError::Exists(name)),
            Err(Errno::EINVAL) => Err(limit),
            // The kernel has one word for two limits.
            Err(Errno::EMFILE) if sys::has_descriptor_left() => Err(CreateError::UserLimit),
            Err(Errno::ENOMEM) => Err(CreateError::UserLimit),
            Err(Errno::ENOSPC) => Err(CreateError::TooMany),
            Err(Errno::EACCES) => Err(CreateError::Denied(name)),
            Err(errno) => Err(Fault { call: "mq_open", errno }.into()),
        }
    }

    /// Opens the queue of this name.
    pub fn open(name: &str) -> Result<Queue, OpenError> {
        let name = Name::new(name)?;
        let flags = MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
        let queue = match nix::mqueue::mq_open(name.as_c().as_c_str(), flags, Mode::empty(), None) {
            Ok(queue) => queue,
            Err(Errno::ENOENT) => return Err(OpenError::NotFound(name)),
            Err(Errno::EACCES) => return Err(OpenError::Denied(name)),
            Err(errno) => return Err(Fault { call: "mq_open", errno }.into()),
        };
        let attr = nix::mqueue::mq_getattr(&queue).map_err(Fault::of("mq_getattr"))?;
        // The kernel's own numbers, which are positive.
        let number = |n: mq_attr_member_t| usize::try_from(n).unwrap_or(0);
        let (capacity, longest) = (number(attr.maxmsg()), number(attr.msgsize()));
        Ok(Queue { queue: sys::mq_owned(queue), capacity, longest })
    }

    /// Opens the queue of this name, whatever its limits, or makes it with these.
    pub fn open_or_create(
        name: &str,
        capacity: usize,
        longest: usize,
    ) -> Result<Queue, OpenOrCreateError> {
        loop {
            match Queue::create(name, capacity, longest) {
                Err(CreateError::Exists(_)) => {}
                other => return Ok(other?),
            }
            match Queue::open(name) {
                // Somebody unlinked it in between.
                Err(OpenError::NotFound(_)) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Removes the name. Whoever has the queue open keeps it; its messages go with the last.
    pub fn unlink(name: &str) -> Result<(), UnlinkError> {
        let name = Name::new(name)?;
        match nix::mqueue::mq_unlink(name.as_c().as_c_str()) {
            Ok(()) => Ok(()),
            Err(Errno::ENOENT) => Err(UnlinkError::NotFound(name)),
            Err(Errno::EACCES) => Err(UnlinkError::Denied(name)),
            Err(errno) => Err(Fault { call: "mq_unlink", errno }.into()),
        }
    }

    /// One more sender.
    pub fn sender(&self) -> Result<Sender, Fault> {
        self.another().map(Sender)
    }

    /// One more receiver.
    pub fn receiver(&self) -> Result<Receiver, Fault> {
        self.another().map(Receiver)
    }

    /// Also when the name is gone by now.
    fn another(&self) -> Result<Queue, Fault> {
        let queue = self.queue.try_clone();
        let queue = queue.map_err(|error| Fault { call: "dup", errno: sys::errno(&error) })?;
        Ok(Queue { queue, ..*self })
    }

    /// How many messages can wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    /// `None` if there was no room until the deadline on the wall clock.
    fn put(
        &self,
        message: &[u8],
        priority: u32,
        deadline: Option<Duration>,
    ) -> Option<Result<(), SendError>> {
        if message.len() > self.longest {
            let error = SendError::WrongSize { given: message.len(), allowed: self.size() };
            return Some(Err(error));
        }
        match sys::mq_send(self.queue.as_fd(), message, priority, deadline) {
            Ok(()) => Some(Ok(())),
            Err(Errno::ETIMEDOUT) => None,
            Err(errno) => Some(Err(SendError::System(Fault { call: "mq_timedsend", errno }))),
        }
    }

    fn take(
        &self,
        buffer: &mut [u8],
        deadline: Option<Duration>,
    ) -> Option<Result<usize, ReceiveError>> {
        let (room, needed) = (buffer.len(), self.longest);
        match sys::mq_receive(self.queue.as_fd(), buffer, deadline) {
            Ok(length) => Some(Ok(length)),
            Err(Errno::ETIMEDOUT) => None,
            Err(Errno::EMSGSIZE) => Some(Err(ReceiveError::ShortBuffer { room, needed })),
            Err(errno) => Some(Err(ReceiveError::System(Fault { call: "mq_timedreceive", errno }))),
        }
    }
}

impl Sender {
    /// Waits until there is room. Higher priorities are received first.
    pub fn send_with_priority(&mut self, message: &[u8], priority: u32) -> Result<(), SendError> {
        loop {
            if let Some(sent) = self.0.put(message, priority, None) {
                return sent;
            }
        }
    }
}

impl Receiver {
    /// Asks the kernel for this signal when a message comes into the empty queue while nobody
    /// waits in a receive. It comes once; ask again before the queue is emptied (POSIX mq_notify).
    pub fn notify(&mut self, signal: Signal) -> Result<(), NotifyError> {
        match sys::mq_notify(self.0.queue.as_fd(), Some(signal)) {
            Ok(()) => Ok(()),
            Err(Errno::EBUSY) => Err(NotifyError::Taken),
            Err(errno) => Err(Fault { call: "mq_notify", errno }.into()),
        }
    }

    /// Takes the wish back, if it was this process's.
    pub fn withdraw(&mut self) -> Result<(), Fault> {
        sys::mq_notify(self.0.queue.as_fd(), None).map_err(Fault::of("mq_notify"))
    }
}

/// To sleep in poll until there is room.
impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.queue.as_fd()
    }
}

/// To sleep in poll until there is a message, together with other descriptors.
impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.queue.as_fd()
    }
}

/// Repeats `attempt`, which wants a deadline on the wall clock, until `patience` has run out on
/// the monotonic one.
fn persist<T>(
    patience: Duration,
    mut attempt: impl FnMut(Option<Duration>) -> Option<T>,
) -> Option<T> {
    let deadline = sys::now().saturating_add(patience);
    loop {
        let rest = deadline.saturating_sub(sys::now());
        if let Some(done) = attempt(Some(sys::wall_clock().saturating_add(rest))) {
            return Some(done);
        }
        if sys::now() >= deadline {
            return None;
        }
    }
}

impl SendingEnd for Sender {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.send_with_priority(message, 0)
    }

    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        Ok(self.0.put(message, 0, Some(Duration::ZERO)).ok_or(TrySendError::Full)??)
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        let sent = persist(patience, |deadline| self.0.put(message, 0, deadline));
        Ok(sent.ok_or(SendTimeoutError::Timeout)??)
    }
}

/// The kernel wants room for the longest message, whatever the length of the one that waits.
impl ReceivingEnd for Receiver {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        loop {
            if let Some(taken) = self.0.take(buffer, None) {
                return taken;
            }
        }
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        Ok(self.0.take(buffer, Some(Duration::ZERO)).ok_or(TryReceiveError::Empty)??)
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        let taken = persist(patience, |deadline| self.0.take(buffer, deadline));
        Ok(taken.ok_or(ReceiveTimeoutError::Timeout)??)
    }
}
