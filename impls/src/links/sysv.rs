//! A System V message queue: the kernel keeps the messages, each with a type.
//!
//! * **Names.** A queue has a number of the caller's choice as its key, or none, and an id of the
//!   kernel's, by which other processes may find it too. It stays until it is removed, whoever
//!   uses it; whoever uses it then gets `Disconnected`.
//! * **Types.** A message has a type from 1 up; a receiver takes all types, one, or the lowest up
//!   to one. **Order** is first in, first out among what a receiver takes.
//! * **Capacity** is in bytes, `/proc/sys/kernel/msgmnb`. **Sizes** go from 0 up to
//!   `/proc/sys/kernel/msgmax`.
//! * **Cost.** One system call for each message, on either side, and one copy in the process,
//!   because the kernel wants the type in front of the message.
//! * **Closing.** A queue has no ends, so nobody ever learns that the other side is gone.
//! * **Time limits.** The kernel has no timed call and nothing to poll: a timed call asks again and
//!   again, at first at once and then every few milliseconds.

use std::ffi::{c_int, c_long};
use std::time::Duration;

use nix::errno::Errno;

use super::os::{LinkError, ask_again};
use super::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd, Size,
    TryReceiveError, TrySendError,
};
use crate::sys::{self, Fault};

/// A queue, by its id. Dropping it removes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    id: c_int,
    longest: usize,
}

/// Which messages a receiver takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Types {
    /// The oldest, whatever its type.
    #[default]
    All,
    /// The oldest of this type.
    Only(Kind),
    /// The oldest of the lowest type there is, up to this one: the types are priorities.
    LowestUpTo(Kind),
}

/// The type of a message, from 1 up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(c_long);

impl Kind {
    /// `None` below 1.
    pub fn new(number: i64) -> Option<Kind> {
        (number >= 1).then_some(Kind(number))
    }
}

/// An end that sends messages of one type.
#[derive(Debug)]
pub struct Sender {
    queue: Queue,
    kind: Kind,
    message: Box<[c_long]>,
}

/// An end that receives.
#[derive(Debug)]
pub struct Receiver {
    queue: Queue,
    types: Types,
    message: Box<[c_long]>,
}

impl Queue {
    /// Makes a queue whose key must be new, for its owner alone (mode 0600).
    ///
    /// # Errors
    /// That the key is taken, or that there are as many queues as the system allows.
    pub fn create(key: i32) -> Result<Queue, LinkError> {
        get(key, libc::IPC_CREAT | libc::IPC_EXCL)
    }

    /// Opens the queue of this key.
    ///
    /// # Errors
    /// That there is none, or permission is refused.
    pub fn open(key: i32) -> Result<Queue, LinkError> {
        get(key, 0)
    }

    /// Opens the queue of this key, or makes it.
    ///
    /// # Errors
    /// Those of the two.
    pub fn open_or_create(key: i32) -> Result<Queue, LinkError> {
        get(key, libc::IPC_CREAT)
    }

    /// Makes a queue without a key: others find it by its id.
    ///
    /// # Errors
    /// That there are as many queues as the system allows.
    pub fn private() -> Result<Queue, LinkError> {
        get(libc::IPC_PRIVATE, libc::IPC_CREAT)
    }

    /// The queue of this id.
    ///
    /// # Errors
    /// That the kernel's limits cannot be read.
    pub fn by_id(id: i32) -> Result<Queue, LinkError> {
        Ok(Queue { id, longest: longest()? })
    }

    /// The number that the kernel gave it.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    /// Removes the queue with all that waits in it.
    ///
    /// # Errors
    /// That it is gone, or belongs to somebody else.
    pub fn remove(self) -> Result<(), LinkError> {
        let removed = sys::msg_remove(self.id);
        removed.map_err(|errno| named("msgctl", &format!("queue {}", self.id), errno))
    }

    /// One more sender, of messages of type 1.
    pub fn sender(&self) -> Sender {
        self.sender_of(Kind(1))
    }

    /// One more sender, of messages of this type.
    pub fn sender_of(&self, kind: Kind) -> Sender {
        Sender { queue: *self, kind, message: self.message() }
    }

    /// One more receiver, of all messages.
    pub fn receiver(&self) -> Receiver {
        self.receiver_of(Types::All)
    }

    /// One more receiver, of messages of these types.
    pub fn receiver_of(&self, types: Types) -> Receiver {
        Receiver { queue: *self, types, message: self.message() }
    }

    /// Room for a type and the longest message.
    fn message(&self) -> Box<[c_long]> {
        vec![0; 1 + self.longest.div_ceil(size_of::<c_long>())].into()
    }
}

fn get(key: i32, how: c_int) -> Result<Queue, LinkError> {
    let longest = longest()?;
    let id = sys::msg_get(key, how | 0o600);
    let id = id.map_err(|errno| named("msgget", &format!("queue with key {key}"), errno))?;
    Ok(Queue { id, longest })
}

fn named(call: &'static str, name: &str, errno: Errno) -> LinkError {
    match errno {
        Errno::ENOSPC => LinkError::Limit {
            asked: "one more queue".into(),
            limit: "there are as many as /proc/sys/kernel/msgmni allows".into(),
        },
        Errno::EIDRM | Errno::EINVAL => LinkError::NotFound(name.into()),
        errno => LinkError::of(call, name, errno),
    }
}

/// The longest message that the system allows.
fn longest() -> Result<usize, LinkError> {
    let place = "/proc/sys/kernel/msgmax";
    let text = std::fs::read_to_string(place).map_err(LinkError::io("open", place))?;
    text.trim().parse().map_err(|_| LinkError::OtherKind(place.into()))
}

/// `None` where a call that does not wait would have to.
impl Sender {
    fn put(&mut self, message: &[u8], flags: c_int) -> Result<Option<()>, SendError> {
        if message.len() > self.queue.longest {
            let (given, allowed) = (message.len(), self.queue.size());
            return Err(SendError::WrongSize { given, allowed });
        }
        match sys::msg_send(self.queue.id, &mut self.message, self.kind.0, message, flags) {
            Ok(()) => Ok(Some(())),
            Err(Errno::EAGAIN) => Ok(None),
            Err(Errno::EIDRM | Errno::EINVAL) => Err(SendError::Disconnected),
            Err(errno) => Err(SendError::System(Fault { call: "msgsnd", errno })),
        }
    }
}

impl Receiver {
    fn take(&mut self, buffer: &mut [u8], flags: c_int) -> Result<Option<usize>, ReceiveError> {
        let types = match self.types {
            Types::All => 0,
            Types::Only(Kind(number)) => number,
            Types::LowestUpTo(Kind(number)) => -number,
        };
        let (room, needed) = (buffer.len(), self.queue.longest);
        match sys::msg_receive(self.queue.id, &mut self.message, types, buffer, flags) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::ENOMSG) => Ok(None),
            // The message stays in the queue; the kernel does not say how long it is.
            Err(Errno::E2BIG) => Err(ReceiveError::ShortBuffer { room, needed }),
            Err(Errno::EIDRM | Errno::EINVAL) => Err(ReceiveError::Disconnected),
            Err(errno) => Err(ReceiveError::System(Fault { call: "msgrcv", errno })),
        }
    }
}

impl SendingEnd for Sender {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        while self.put(message, 0)?.is_none() {}
        Ok(())
    }

    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        self.put(message, libc::IPC_NOWAIT)?.ok_or(TrySendError::Full)
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        let sent = ask_again(patience, || self.put(message, libc::IPC_NOWAIT))?;
        sent.ok_or(SendTimeoutError::Timeout)
    }
}

impl ReceivingEnd for Receiver {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        loop {
            if let Some(length) = self.take(buffer, 0)? {
                return Ok(length);
            }
        }
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        self.take(buffer, libc::IPC_NOWAIT)?.ok_or(TryReceiveError::Empty)
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        let taken = ask_again(patience, || self.take(buffer, libc::IPC_NOWAIT))?;
        taken.ok_or(ReceiveTimeoutError::Timeout)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
