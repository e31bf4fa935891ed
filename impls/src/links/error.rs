//! What the verbs of a link can answer instead of doing their work: one type per verb.
//!
//! What `send` and `receive` can answer, their nonblocking and timed kin can answer too, and one
//! thing more.

use super::Size;
use crate::sys::Fault;

/// What another process wrote into the shared memory that no end of this crate writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The count of received messages went back, or beyond the sent ones.
    #[error("the count of received messages is {found}, and {low} to {high} is possible")]
    Head {
        /// As read.
        found: u64,
        /// The smallest possible.
        low: u64,
        /// The largest possible.
        high: u64,
    },
    /// Something that no end of this crate sends.
    #[error("something came that no end of this link sends")]
    Unmarked,
    /// A message with a length that the link does not take.
    #[error("a message claims {found} bytes, and the link takes {allowed}")]
    Length {
        /// As read.
        found: usize,
        /// What the link was made for.
        allowed: Size,
    },
}

/// Why `send` gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Every receiver that ever came has left or died.
    #[error("no receiver is left; attach one, or stop sending")]
    Disconnected,
    /// The link does not take messages of this length.
    #[error("the message has {given} bytes, and the link takes {allowed}")]
    WrongSize {
        /// The length of the message.
        given: usize,
        /// What the link was made for.
        allowed: Size,
    },
    /// Another process broke the layout. Nothing was sent.
    #[error("the link is damaged: {0}; unlink it and make it again")]
    Corrupt(Damage),
    /// The operating system refused.
    #[error(transparent)]
    System(Fault),
}

/// Why `try_send` did not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// As many messages wait as the link holds.
    #[error("the link is full")]
    Full,
    /// As in [`SendError`].
    #[error("no receiver is left; attach one, or stop sending")]
    Disconnected,
    /// As in [`SendError`].
    #[error("the message has {given} bytes, and the link takes {allowed}")]
    WrongSize {
        /// The length of the message.
        given: usize,
        /// What the link was made for.
        allowed: Size,
    },
    /// As in [`SendError`].
    #[error("the link is damaged: {0}; unlink it and make it again")]
    Corrupt(Damage),
    /// As in [`SendError`].
    #[error(transparent)]
    System(Fault),
}

/// Why `send_timeout` gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendTimeoutError {
    /// There was no room in time.
    #[error("there was no room in time")]
    Timeout,
    /// As in [`SendError`].
    #[error("no receiver is left; attach one, or stop sending")]
    Disconnected,
    /// As in [`SendError`].
    #[error("the message has {given} bytes, and the link takes {allowed}")]
    WrongSize {
        /// The length of the message.
        given: usize,
        /// What the link was made for.
        allowed: Size,
    },
    /// As in [`SendError`].
    #[error("the link is damaged: {0}; unlink it and make it again")]
    Corrupt(Damage),
    /// As in [`SendError`].
    #[error(transparent)]
    System(Fault),
}

/// Why `receive` gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Every sender that ever came has left or died, and all they sent was received.
    #[error("no message and no sender is left")]
    Disconnected,
    /// The message stays in the link.
    #[error("the buffer has room for {room} bytes, and the message has {needed}")]
    ShortBuffer {
        /// The length of the buffer.
        room: usize,
        /// The length of the message.
        needed: usize,
    },
    /// Another process broke the layout. Nothing was received.
    #[error("the link is damaged: {0}; unlink it and make it again")]
    Corrupt(Damage),
    /// The operating system refused.
    #[error(transparent)]
    System(Fault),
}

/// Why `try_receive` received nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryReceiveError {
    /// No message waits.
    #[error("the link is empty")]
    Empty,
    /// As in [`ReceiveError`].
    #[error("no message and no sender is left")]
    Disconnected,
    /// As in [`ReceiveError`].
    #[error("the buffer has room for {room} bytes, and the message has {needed}")]
    ShortBuffer {
        /// The length of the buffer.
        room: usize,
        /// The length of the message.
        needed: usize,
    },
    /// As in [`ReceiveError`].
    #[error("the link is damaged: {0}; unlink it and make it again")]
    Corrupt(Damage),
    /// As in [`ReceiveError`].
    #[error(transparent)]
    System(Fault),
}

/// Why `receive_timeout` gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveTimeoutError {
    /// There was no message in time.
    #[error("there was no message in time")]
    Timeout,
    /// As in [`ReceiveError`].
    #[error("no message and no sender is left")]
    Disconnected,
    /// As in [`ReceiveError`].
    #[error("the buffer has room for {room} bytes, and the message has {needed}")]
    ShortBuffer {
        /// The length of the buffer.
        room: usize,
        /// The length of the message.
        needed: usize,
    },
    /// As in [`ReceiveError`].
    #[error("the link is damaged: {0}; unlink it and make it again")]
    Corrupt(Damage),
    /// As in [`ReceiveError`].
    #[error(transparent)]
    System(Fault),
}

impl From<SendError> for TrySendError {
    fn from(error: SendError) -> TrySendError {
        match error {
            SendError::Disconnected => TrySendError::Disconnected,
            SendError::WrongSize { given, allowed } => TrySendError::WrongSize { given, allowed },
            SendError::Corrupt(damage) => TrySendError::Corrupt(damage),
            SendError::System(fault) => TrySendError::System(fault),
        }
    }
}

impl From<SendError> for SendTimeoutError {
    fn from(error: SendError) -> SendTimeoutError {
        match error {
            SendError::Disconnected => SendTimeoutError::Disconnected,
            SendError::WrongSize { given, allowed } => {
                SendTimeoutError::WrongSize { given, allowed }
            }
            SendError::Corrupt(damage) => SendTimeoutError::Corrupt(damage),
            SendError::System(fault) => SendTimeoutError::System(fault),
        }
    }
}

impl From<ReceiveError> for TryReceiveError {
    fn from(error: ReceiveError) -> TryReceiveError {
        match error {
            ReceiveError::Disconnected => TryReceiveError::Disconnected,
            ReceiveError::ShortBuffer { room, needed } => {
                TryReceiveError::ShortBuffer { room, needed }
            }
            ReceiveError::Corrupt(damage) => TryReceiveError::Corrupt(damage),
            ReceiveError::System(fault) => TryReceiveError::System(fault),
        }
    }
}

impl From<ReceiveError> for ReceiveTimeoutError {
    fn from(error: ReceiveError) -> ReceiveTimeoutError {
        match error {
            ReceiveError::Disconnected => ReceiveTimeoutError::Disconnected,
            ReceiveError::ShortBuffer { room, needed } => {
                ReceiveTimeoutError::ShortBuffer { room, needed }
            }
            ReceiveError::Corrupt(damage) => ReceiveTimeoutError::Corrupt(damage),
            ReceiveError::System(fault) => ReceiveTimeoutError::System(fault),
        }
    }
}
