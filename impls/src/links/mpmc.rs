//! Many senders, many receivers, bounded: a mailbox in shared memory.
//!
//! Capacity, sizes, cost, closing, hostile peers and forks are as for a
//! [ring](crate::links::ring), with these differences:
//!
//! * **Ends.** Up to 32 senders and 32 receivers at a time. Each message goes to one receiver.
//!   **Order** is first in, first out for all senders together.
//! * **Closing.** `Disconnected` means that the last end of the other role left or died.
//! * **Death.** Either side has a lock that names its holder. Whoever finds the lock held for
//!   50 ms asks whether the holder is alive, inherits the lock if not, and finishes what the dead
//!   end had begun: nothing, or the counting of a message that was already sent.
//! * **Nonblocking** calls wait for that lock, which is held while one message is copied. A
//!   process that is stopped (not killed) at that moment holds the others up until it goes on. A
//!   hostile one can do the same by writing a living end's badge into the lock.
//!
//! ```no_run
//! use ipc_impls::links::mpmc::{Mailbox, Options};
//! use ipc_impls::links::{ReceivingEnd, SendingEnd, Size};
//!
//! let mailbox = Mailbox::create("prices", Options { capacity: 100, size: Size::UpTo(64) })?;
//! let mut sender = mailbox.sender()?;
//! sender.send(b"12.50")?;
//!
//! // Most likely in another process:
//! let mut receiver = Mailbox::open("prices")?.receiver()?;
//! let mut buffer = [0; 64];
//! let length = receiver.receive(&mut buffer)?;
//! assert_eq!(&buffer[..length], b"12.50");
//! Mailbox::unlink("prices")?;
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
use self::layout::Control;
use super::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd, Size,
    TryReceiveError, TrySendError,
};
use crate::shm::object::{Kind, Mapping, Object, Shape};
use crate::shm::roster::Role;
use crate::sync::SEATS;

pub use crate::shm::object::{
    AttachError, CreateError, OpenError, OpenOrCreateError, Options, UnlinkError,
};
pub use crate::shm::roster::Presence;

/// A mailbox, before an end is attached to it. Dropping it removes nothing.
#[derive(Debug)]
pub struct Mailbox(Object);

impl Mailbox {
    /// Makes a mailbox whose name must be new. Its owner alone can open it (mode 0600).
    pub fn create(name: &str, options: Options) -> Result<Mailbox, CreateError> {
        Object::create::<Control>(name, Shape::new(Kind::Mpmc, options)?).map(Mailbox)
    }

    /// Opens the mailbox of this name.
    pub fn open(name: &str) -> Result<Mailbox, OpenError> {
        Object::open::<Control>(name, Kind::Mpmc).map(Mailbox)
    }

    /// Opens the mailbox of this name, whatever its options, or makes it with these.
    pub fn open_or_create(name: &str, options: Options) -> Result<Mailbox, OpenOrCreateError> {
        Object::open_or_create::<Control>(name, Shape::new(Kind::Mpmc, options)?).map(Mailbox)
    }

    /// Makes a mailbox without a name, sealed so that nobody can cut it off. It travels to another
    /// process as a file descriptor ([`AsFd`], [`Mailbox::adopt`]).
    pub fn anonymous(options: Options) -> Result<Mailbox, CreateError> {
        Object::anonymous::<Control>(Shape::new(Kind::Mpmc, options)?).map(Mailbox)
    }

    /// Takes over a mailbox that came as a file descriptor.
    pub fn adopt(file: File) -> Result<Mailbox, OpenError> {
        Object::adopt::<Control>(file, Kind::Mpmc).map(Mailbox)
    }

    /// Removes the name. Whoever has the mailbox open keeps it; its memory goes with the last.
    pub fn unlink(name: &str) -> Result<(), UnlinkError> {
        Object::unlink(name)
    }

    /// Attaches one more sender.
    pub fn sender(&self) -> Result<Sender, AttachError> {
        let (memory, seat) = self.0.attach(Role::Sender, SEATS)?;
        let shape = self.0.shape();
        Ok(Sender(Sending::new(memory, seat, shape.capacity, shape.size)))
    }

    /// Attaches one more receiver.
    pub fn receiver(&self) -> Result<Receiver, AttachError> {
        let (memory, seat) = self.0.attach(Role::Receiver, SEATS)?;
        let shape = self.0.shape();
        Ok(Receiver(Receiving::new(memory, seat, shape.capacity, shape.size)))
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

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file().as_fd()
    }
}

/// A sending end of a [`Mailbox`].
pub struct Sender(Sending<Mapping<Control>>);

/// A receiving end of a [`Mailbox`].
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
