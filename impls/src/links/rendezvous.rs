//! Many senders, many receivers, and nothing between them: zero capacity.
//!
//! A send is held until a receiver takes the message, and the two calls take effect together.
//! `try_send` succeeds exactly if a receiver waits, `try_receive` if a sender does.
//!
//! * **Ends**, closing and forks are as for a [mailbox](crate::links::mpmc). Which of several
//!   waiting ends is served is by turns.
//! * **Buffers** must have room for the longest message, because a sender hands its message to a
//!   receiver that waits without asking how much it can hold.
//! * **Cost.** Nothing is handed to the dead, or taken from them. A peer that is awake shows that it
//!   lives by closing its slot, which costs no system call; of one that sleeps the kernel is asked
//!   before it is woken.
//! * **Death.** One lock, which outlives its holder, is held while two calls are joined. A message
//!   whose receiver died while it was handed over is lost with that receiver's call; one whose
//!   sender died before it was taken was never sent.

mod endpoint;
mod layout;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

use self::endpoint::{Receiving, Sending};
use self::layout::Control;
use super::Size;
use super::outside::outside;
use crate::shm::object::{Kind, Options, Shape};
use crate::sync::SEATS;

pub use crate::shm::object::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};
pub use crate::shm::roster::Presence;

outside! {
    Rendezvous, "rendezvous", seats SEATS,
    made from size: Size, shape Kind::Rendezvous,
    Shape::new(Kind::Rendezvous, Options { capacity: 0, size })
}
