//! Many senders, many receivers, and nothing between them: zero capacity.
//!
//! A send is held until a receiver takes the message, and the two calls take effect together.
//! `try_send` succeeds exactly if a receiver waits, `try_receive` if a sender does.
//!
//! * **Ends**, closing and forks are as for a [mailbox](crate::links::mpmc). Which of several
//!   waiting ends is served is by turns.
//! * **Buffers** must have room for the longest message, because a sender hands its message to a
//!   receiver that waits without asking how much it can hold.
//! * **Cost.** Whoever finds a waiting peer asks the kernel whether it still lives, so that
//!   nothing is handed to the dead or taken from them: one system call for each message.
//! * **Death.** One lock, which outlives its holder, is held while two calls are joined. A message
//!   whose receiver died while it was handed over is lost with that receiver's call; one whose
//!   sender died before it was taken was never sent.

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
use crate::shm::object::{Kind, Mapping, Object, Options, Shape};
use crate::shm::roster::Role;
use crate::sync::SEATS;

pub use crate::shm::object::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};
pub use crate::shm::roster::Presence;

/// A rendezvous, before an end is attached to it. Dropping it removes nothing.
#[derive(Debug)]
pub struct Rendezvous(Object);

impl Rendezvous {
    /// Makes a rendezvous whose name must be new. Its owner alone can open it (mode 0600).
    pub fn create(name: &str, size: Size) -> Result<Rendezvous, CreateError> {
        Object::create::<Control>(name, shape(size)?).map(Rendezvous)
    }

    /// Opens the rendezvous of this name.
    pub fn open(name: &str) -> Result<Rendezvous, OpenError> {
        Object::open::<Control>(name, Kind::Rendezvous).map(Rendezvous)
    }

    /// Opens the rendezvous of this name, whatever sizes it takes, or makes it for these.
    pub fn open_or_create(name: &str, size: Size) -> Result<Rendezvous, OpenOrCreateError> {
        Object::open_or_create::<Control>(name, shape(size)?).map(Rendezvous)
    }

    /// Makes a rendezvous without a name, sealed so that nobody can cut it off. It travels to another
    /// process as a file descriptor ([`AsFd`], [`Rendezvous::adopt`]).
    pub fn anonymous(size: Size) -> Result<Rendezvous, CreateError> {
        Object::anonymous::<Control>(shape(size)?).map(Rendezvous)
    }

    /// Takes over a rendezvous that came as a file descriptor.
    pub fn adopt(file: File) -> Result<Rendezvous, OpenError> {
        Object::adopt::<Control>(file, Kind::Rendezvous).map(Rendezvous)
    }

    /// Removes the name. Whoever has the rendezvous open keeps it; its memory goes with the last.
    pub fn unlink(name: &str) -> Result<(), UnlinkError> {
        Object::unlink(name)
    }

    /// Attaches one more sender.
    pub fn sender(&self) -> Result<Sender, AttachError> {
        let (memory, seat) = self.0.attach(Role::Sender, SEATS)?;
        let shape = self.0.shape();
        Ok(Sender(Sending::new(memory, seat, shape.size)))
    }

    /// Attaches one more receiver.
    pub fn receiver(&self) -> Result<Receiver, AttachError> {
        let (memory, seat) = self.0.attach(Role::Receiver, SEATS)?;
        let shape = self.0.shape();
        Ok(Receiver(Receiving::new(memory, seat, shape.size)))
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        self.0.shape().size
    }
}

fn shape(size: Size) -> Result<Shape, CreateError> {
    Shape::new(Kind::Rendezvous, Options { capacity: 0, size })
}

impl AsFd for Rendezvous {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file().as_fd()
    }
}

/// A sending end of a [`Rendezvous`].
pub struct Sender(Sending<Mapping<Control>>);

/// A receiving end of a [`Rendezvous`].
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
