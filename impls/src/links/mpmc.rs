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
//! * **Nonblocking** calls wait for that lock, which is held while one message is copied. If a
//!   process is stopped (not killed) at that moment, they answer `Busy` after 50 ms, timed calls
//!   `Timeout` in time, and blocking calls wait until it goes on. A hostile process can cause the
//!   same by writing a living end's badge into the lock.
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

use self::endpoint::{Receiving, Sending};
use self::layout::Control;
use super::outside::outside;
use crate::shm::object::{Kind, Shape};
use crate::sync::SEATS;

pub use crate::shm::object::{
    AttachError, CreateError, OpenError, OpenOrCreateError, Options, UnlinkError,
};
pub use crate::shm::roster::Presence;

outside! {
    Mailbox, "mailbox", seats SEATS,
    made from options: Options, shape Kind::Mpmc, Shape::new(Kind::Mpmc, options)
}

impl Mailbox {
    /// How many messages can wait.
    pub fn capacity(&self) -> usize {
        self.0.shape().capacity
    }
}
