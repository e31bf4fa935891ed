//! One sender, one receiver, bounded: a ring of slots in shared memory.
//!
//! * **Capacity** is exact, and any number from 1 on. **Sizes** are fixed or up to a longest,
//!   0 included. **Order** is first in, first out.
//! * **Cost.** While the peer is awake, a message costs no system call and no allocation. A
//!   sleeping peer is woken by one futex call; nobody is called when nobody sleeps.
//! * **Closing.** An end that is closed or dropped leaves in order. A receiver still gets all
//!   that was sent, then `Disconnected`. A sender gets `Disconnected` at once. A new end can take
//!   the place of one that left or died: it goes on where that one stopped.
//! * **Death.** Each end holds a lock on a byte of the shared object. The kernel frees it when
//!   the process ends, also by `kill -9`. A blocked survivor asks for that lock every 50 ms, a
//!   polling one not more often and after 32 refusals in a row, and then goes on as if the peer
//!   had left. A message whose sender was killed inside `send` is there whole or not at all. One
//!   whose receiver was killed inside `receive` is received by the next receiver, unless that
//!   call had already taken effect.
//! * **Hostile peers** can make a verb fail with `Corrupt`, or feed it bytes that nobody sent.
//!   They cannot make it read or write outside the mapping: positions and the shape are private
//!   memory, and what is read from the shared memory is checked each time.
//! * **Fork.** A child that is forked without an exec shares its parent's locks: while it lives,
//!   the parent counts as alive. An end must be used by one of them alone.
//!
//! ```no_run
//! use ipc_impls::links::ring::{Options, Ring};
//! use ipc_impls::links::{ReceivingEnd, SendingEnd, Size};
//!
//! let ring = Ring::create("prices", Options { capacity: 100, size: Size::UpTo(64) })?;
//! let mut sender = ring.sender()?;
//! sender.send(b"12.50")?;
//!
//! // Most likely in another process:
//! let mut receiver = Ring::open("prices")?.receiver()?;
//! let mut buffer = [0; 64];
//! let length = receiver.receive(&mut buffer)?;
//! assert_eq!(&buffer[..length], b"12.50");
//! Ring::unlink("prices")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod endpoint;
mod layout;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use self::endpoint::{Receiving, Sending};
pub(crate) use self::layout::Calls;
use self::layout::Control;
use super::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd, Size,
    TryReceiveError, TrySendError,
};
use crate::shm::object::{Kind, Mapping, Object, Shape};
use crate::shm::roster::Role;

pub use crate::shm::object::{
    AttachError, CreateError, OpenError, OpenOrCreateError, Options, UnlinkError,
};
pub use crate::shm::roster::Presence;

/// A ring, before an end is attached to it. Dropping it removes nothing.
#[derive(Debug)]
pub struct Ring(Object);

impl Ring {
    /// Makes a ring whose name must be new. Its owner alone can open it (mode 0600).
    pub fn create(name: &str, options: Options) -> Result<Ring, CreateError> {
        Object::create::<Control>(name, Shape::new(Kind::Ring, options)?).map(Ring)
    }

    /// Opens the ring of this name.
    pub fn open(name: &str) -> Result<Ring, OpenError> {
        Object::open::<Control>(name, Kind::Ring).map(Ring)
    }

    /// Opens the ring of this name, whatever its options, or makes it with these.
    pub fn open_or_create(name: &str, options: Options) -> Result<Ring, OpenOrCreateError> {
        Object::open_or_create::<Control>(name, Shape::new(Kind::Ring, options)?).map(Ring)
    }

    /// Makes a ring without a name, sealed so that nobody can cut it off. It travels to another
    /// process as a file descriptor ([`AsFd`], [`Ring::adopt`]).
    pub fn anonymous(options: Options) -> Result<Ring, CreateError> {
        Object::anonymous::<Control>(Shape::new(Kind::Ring, options)?).map(Ring)
    }

    /// Takes over a ring that came as a file descriptor.
    pub fn adopt(file: File) -> Result<Ring, OpenError> {
        Object::adopt::<Control>(file, Kind::Ring).map(Ring)
    }

    /// Removes the name. Whoever has the ring open keeps it; its memory goes with the last.
    pub fn unlink(name: &str) -> Result<(), UnlinkError> {
        Object::unlink(name)
    }

    /// Attaches the sender.
    pub fn sender(&self) -> Result<Sender, AttachError> {
        let (memory, seat) = self.0.attach(Role::Sender, 1)?;
        let shape = self.0.shape();
        Ok(Sender(Sending::new(memory, seat, shape.capacity, shape.size)?))
    }

    /// Attaches the receiver.
    pub fn receiver(&self) -> Result<Receiver, AttachError> {
        let (memory, seat) = self.0.attach(Role::Receiver, 1)?;
        let shape = self.0.shape();
        Ok(Receiver(Receiving::new(memory, seat, shape.capacity, shape.size)?))
    }

    /// How many messages can wait.
    pub fn capacity(&self) -> usize {
        self.0.shape().capacity
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        self.0.shape().size
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file().as_fd()
    }
}

/// The sending end of a [`Ring`].
pub struct Sender(Sending<Mapping<Control>>);

/// The receiving end of a [`Ring`].
pub struct Receiver(Receiving<Mapping<Control>>);

impl Sender {
    /// Whether a receiver is there. Asks the kernel, so it costs a system call.
    pub fn receiver_presence(&mut self) -> Presence {
        self.0.peer_presence()
    }
}

impl Receiver {
    /// Whether a sender is there. Asks the kernel, so it costs a system call.
    pub fn sender_presence(&mut self) -> Presence {
        self.0.peer_presence()
    }
}

impl SendingEnd for Sender {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.0.send(message)
    }

    #[inline]
    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        self.0.try_send(message)
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        self.0.send_timeout(message, patience)
    }
}

impl ReceivingEnd for Receiver {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        self.0.receive(buffer)
    }

    #[inline]
    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        self.0.try_receive(buffer)
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        self.0.receive_timeout(buffer, patience)
    }
}
