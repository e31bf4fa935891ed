//! One sender, one receiver, bounded: a ring of slots in shared memory.
//!
//! * **Capacity** is exact, and any number from 1 on. **Sizes** are fixed or up to a longest,
//!   0 included. **Order** is first in, first out.
//! * **Cost.** While the peer is awake, a message costs no system call and no allocation. A
//!   sleeping peer is woken by one futex call; nobody is called when nobody sleeps.
//! * **Zero-copy.** [`Sender::loan`] lends the next place to write into before it is sent, and
//!   [`Receiver::borrow`] the next message where it is. A borrowed message is in the link, and in
//!   its place, until it is given back: if its receiver is killed before, the next one gets it.
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
//!   memory, and what is read from the shared memory is checked each time. Nor can they kill it
//!   by cutting the object off: see [`object`](crate::shm::object).
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

use self::endpoint::{Head, Receiving, Sending, Tail};
pub(crate) use self::layout::Calls;
use self::layout::Control;
use super::loans::by_loan;
use super::outside::outside;
use crate::shm::object::{Kind, Shape};

pub use crate::shm::object::{
    AttachError, CreateError, OpenError, OpenOrCreateError, Options, UnlinkError,
};
pub use crate::shm::roster::Presence;

outside! {
    Ring, "ring", seats 1,
    made from options: Options, shape Kind::Ring, Shape::new(Kind::Ring, options)
}

by_loan!();

impl Ring {
    /// How many messages can wait.
    pub fn capacity(&self) -> usize {
        self.0.shape().capacity
    }
}
