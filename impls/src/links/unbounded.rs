//! Many senders, many receivers, unbounded: a mailbox that grows by segments up to a budget.
//!
//! Sizes, closing, death, hostile peers and forks are as for a [mailbox](crate::links::mpmc), with
//! these differences:
//!
//! * **Capacity.** A send never waits. The budget, in bytes, is address space and not memory: it
//!   is cut into 64 segments, and a segment gets memory when the messages that wait reach it.
//!   When all segments are in use a send answers `Exhausted`, and when the system has no memory
//!   for another, `NoRoom`; nothing is sent then, and nothing lost. A segment is in use while one
//!   message in it waits, so the budget holds at least 63 64ths of what it could.
//! * **Memory** goes back to the system when the messages in a segment were received, but for one
//!   segment that is kept. Pages at the border of two segments are kept, too.
//! * **Death.** A sender never waits, so it asks the kernel whether a receiver lives with its
//!   first message, and with the one after each that needed a new segment.
//! * **Cost.** No system call for a message, and one or two for a segment while the number of
//!   waiting messages grows or shrinks by one.
//!
//! ```no_run
//! use ipc_impls::links::unbounded::{Options, Unbounded};
//! use ipc_impls::links::{ReceivingEnd, SendingEnd, Size};
//!
//! let log = Unbounded::create("log", Options { budget: 1 << 30, size: Size::UpTo(200) })?;
//! let mut sender = log.sender()?;
//! for _ in 0..100_000 {
//!     sender.send(b"does not wait for a reader")?;
//! }
//! Unbounded::unlink("log")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod endpoint;
mod layout;
mod segments;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

use self::endpoint::{Receiving, Sending};
use self::layout::Control;
use super::Size;
use super::outside::outside;
use crate::shm::object::{self, Kind, Shape};
use crate::sync::{SEATS, SEGMENTS};

pub use crate::shm::object::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};
pub use crate::shm::roster::Presence;

/// What an unbounded link is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The real limit: so many bytes of messages, each with 8 bytes more, may wait. Rounded down
    /// to a multiple of 64 messages, and up to 64.
    pub budget: usize,
    /// Which lengths a message may have.
    pub size: Size,
}

outside! {
    Unbounded, "unbounded link", seats SEATS,
    made from options: Options, shape Kind::Unbounded, shape(options)
}

fn shape(options: Options) -> Result<Shape, CreateError> {
    let Options { budget, size } = options;
    let each = (Shape::fitting(budget, size) / SEGMENTS).max(1);
    Shape::new(Kind::Unbounded, object::Options { capacity: each * SEGMENTS, size })
}

impl Unbounded {
    /// The real limit as it came to be, in bytes.
    pub fn budget(&self) -> u64 {
        self.0.shape().budget()
    }
}
