//! Many senders, many receivers, bounded, by loan: a mailbox that moves buffers, not bytes.
//!
//! Capacity, order, closing, nonblocking calls, hostile peers and forks are as for a
//! [mailbox](crate::links::mpmc), with these differences:
//!
//! * **Zero-copy.** Every end has a buffer of its own. [`Sender::loan`] lends the sender's to
//!   write into; sending it exchanges it for the empty one in the queue, and receiving exchanges
//!   the receiver's empty one for the full one. So a message is written once, where it will be
//!   read, and the locks are held for an exchange of one word, however long the message is. The
//!   verbs that copy are there as well.
//! * **Ends.** Up to 8 senders and 8 receivers at a time, and 16 buffers more than the capacity.
//!   A loan never takes room in the queue: exactly the capacity can wait, whatever is on loan.
//! * **Death** while a place or a message is on loan: the buffer is found by the next end that is
//!   attached. A message is received when it is borrowed, so one that its receiver had in hand
//!   when it was killed goes with it.
//!
//! ```no_run
//! use ipc_impls::links::Size;
//! use ipc_impls::links::loan::{Mailbox, Options};
//!
//! let frames = Mailbox::create("frames", Options { capacity: 3, size: Size::UpTo(1 << 20) })?;
//! let mut sender = frames.sender()?;
//! let mut loan = sender.loan(640 * 480)?;
//! loan.write(0, b"pixels");
//! loan.send()?;
//!
//! // Most likely in another process:
//! let mut receiver = Mailbox::open("frames")?.receiver()?;
//! let frame = receiver.borrow()?;
//! let mut first = [0; 6];
//! frame.read(0, &mut first);
//! assert_eq!(&first, b"pixels");
//! Mailbox::unlink("frames")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buffers;
mod endpoint;
mod layout;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

use self::endpoint::{Head, Receiving, Sending, Tail};
use self::layout::Control;
use super::loans::by_loan;
use super::outside::outside;
use crate::shm::object::{Kind, LOAN_SEATS, Shape};

pub use crate::shm::object::{
    AttachError, CreateError, OpenError, OpenOrCreateError, Options, UnlinkError,
};
pub use crate::shm::roster::Presence;

outside! {
    Mailbox, "mailbox", seats LOAN_SEATS,
    made from options: Options, shape Kind::Loan, Shape::new(Kind::Loan, options)
}

by_loan!();

impl Mailbox {
    /// How many messages can wait.
    pub fn capacity(&self) -> usize {
        self.0.shape().capacity
    }
}
