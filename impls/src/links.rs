//! The links, one folder each, and what they have in common.

mod ends;
pub mod error;
pub mod loan;
pub(crate) mod loans;
pub mod mpmc;
pub mod mq;
mod outside;
#[cfg(all(test, loom))]
mod parties;
#[cfg(all(test, loom))]
mod record;
pub mod rendezvous;
pub mod ring;
pub mod unbounded;

use std::time::Duration;

pub use error::{
    Damage, ReceiveError, ReceiveTimeoutError, SendError, SendTimeoutError, TryReceiveError,
    TrySendError,
};

/// Which lengths a link takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// This one alone.
    Fixed(usize),
    /// From 0 up to this one.
    UpTo(usize),
}

impl Size {
    /// The longest message.
    pub fn longest(self) -> usize {
        match self {
            Size::Fixed(length) | Size::UpTo(length) => length,
        }
    }

    /// Whether a message may have this length.
    #[inline]
    pub fn admits(self, length: usize) -> bool {
        match self {
            Size::Fixed(only) => length == only,
            Size::UpTo(longest) => length <= longest,
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Size::Fixed(length) => write!(f, "exactly {length} bytes"),
            Size::UpTo(length) => write!(f, "up to {length} bytes"),
        }
    }
}

/// The end that puts messages in. Messages are copied, so a refused one is still the caller's.
pub trait SendingEnd {
    /// Waits until there is room.
    fn send(&mut self, message: &[u8]) -> Result<(), SendError>;

    /// Sends at once or not at all.
    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError>;

    /// Waits for room no longer than `patience`.
    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError>;

    /// Leaves in order; dropping the end does the same.
    fn close(self)
    where
        Self: Sized,
    {
        drop(self);
    }
}

/// The end that takes messages out, into the beginning of a buffer of the caller's. Each verb
/// returns the length of the message. One that is too long for the buffer stays in the link.
pub trait ReceivingEnd {
    /// Waits until there is a message.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError>;

    /// Receives at once or not at all.
    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError>;

    /// Waits for a message no longer than `patience`.
    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError>;

    /// Leaves in order; dropping the end does the same.
    fn close(self)
    where
        Self: Sized,
    {
        drop(self);
    }
}
